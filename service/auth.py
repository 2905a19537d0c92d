"""Who calls, and what they may: API keys (hashed in a file) and JWT (the issuer's keys in a file), rotated in place.

`python -m service.auth new NAME --scope predict --file keys.json` makes a key, shows it once and stores its hash.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import re
import secrets
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Generic, TypeVar

import jwt
import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from service.refusals import CredentialsInvalid, CredentialsMissing, ScopeMissing
from service.settings import Settings

_log = structlog.get_logger("service.auth")
_ALGORITHMS: Final = {"RSA": ["RS256", "RS384", "RS512"], "EC": ["ES256", "ES384", "ES512"]}
_LEEWAY_S: Final = 30
Loaded = TypeVar("Loaded")


class Scope(StrEnum):
    PREDICT = "predict"
    AUDIT = "audit"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """A system, never a patient: the key's or token's name."""

    name: str
    scopes: frozenset[str]

    def require(self, *any_of: Scope) -> None:
        if not self.scopes.intersection(any_of):
            raise ScopeMissing(f"scope {' or '.join(any_of)} is needed")


LOCAL: Final = Caller("local", frozenset(Scope))


class StoredKey(BaseModel):
    """A key at rest. The secret is 256 random bits, so that one SHA-256 suffices."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    scopes: frozenset[Scope]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    expires: AwareDatetime | None = None


class KeyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    keys: tuple[StoredKey, ...]


class Watched(Generic[Loaded]):
    """A file read anew when it changes; a broken new version is reported and the last good one stays in force."""

    def __init__(self, path: Path, load: Callable[[bytes], Loaded]) -> None:
        self._path, self._load = path, load
        self._lock = threading.Lock()
        self._stamp = self._stamp_now()
        self._value = load(path.read_bytes())

    def _stamp_now(self) -> tuple[int, int, int]:
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def current(self) -> Loaded:
        with self._lock:
            try:
                stamp = self._stamp_now()
                if stamp != self._stamp:
                    self._stamp = stamp
                    self._value = self._load(self._path.read_bytes())
            except (OSError, ValueError, jwt.PyJWTError) as error:
                _log.error("credentials_file_unreadable", file=self._path.name, error=type(error).__name__)
            return self._value


class Gate:
    """Turns a request's credentials into a Caller. Without any configured, everybody is the local caller."""

    def __init__(self, settings: Settings) -> None:
        self._keys = Watched(settings.api_keys_file, KeyFile.model_validate_json) if settings.api_keys_file else None
        self._jwks = Watched(settings.jwks_file, _key_set) if settings.jwks_file else None
        self._issuer, self._audience = settings.jwt_issuer, settings.jwt_audience

    def identify(self, authorization: str | None, api_key: str | None) -> Caller:
        if self._keys is None and self._jwks is None:
            return LOCAL
        if api_key:
            return self._by_key(api_key)
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise CredentialsMissing("send Authorization: Bearer <token> or X-API-Key")
        return self._by_token(token.strip())

    def _by_key(self, presented: str) -> Caller:
        digest = hashlib.sha256(presented.encode()).hexdigest()
        found: StoredKey | None = None
        # Every stored key is compared, in constant time, so that timing tells nothing about which one is near.
        for key in self._keys.current().keys if self._keys else ():
            if hmac.compare_digest(key.sha256, digest):
                found = key
        if found is None or _is_over(found):
            raise CredentialsInvalid("the API key is unknown or expired")
        return Caller(found.name, frozenset(found.scopes))

    def _by_token(self, token: str) -> Caller:
        try:
            key = _signing_key(self._jwks.current() if self._jwks else [], jwt.get_unverified_header(token))
            claims: dict[str, Any] = jwt.decode(
                token, key.key, algorithms=_ALGORITHMS[str(key.key_type)], issuer=self._issuer, audience=self._audience,
                leeway=_LEEWAY_S, options={"require": ["exp", "iss", "aud", "sub"]},
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError) as error:
            # Which check failed is for the log; a stranger learns only that it did.
            _log.info("token_refused", reason=type(error).__name__)
            raise CredentialsInvalid("the token is invalid, expired or not for this service") from error
        return Caller(_printable(str(claims["sub"])), _scopes(claims))


def _is_over(key: StoredKey) -> bool:
    from datetime import UTC, datetime

    return key.expires is not None and key.expires <= datetime.now(UTC)


def _key_set(data: bytes) -> list[jwt.PyJWK]:
    """The RSA and EC signing keys of a JWKS document; others are skipped, none at all is an error."""
    document = json.loads(data)
    listed = document.get("keys") if isinstance(document, dict) else None
    found = [jwt.PyJWK(each) for each in listed or () if isinstance(each, dict) and _signs(each)]
    if not found:
        raise ValueError("no usable signing key in the JWKS file")
    return found


def _signs(key: dict[str, Any]) -> bool:
    return key.get("kty") in _ALGORITHMS and key.get("use", "sig") == "sig"


def _signing_key(keys: list[jwt.PyJWK], header: dict[str, Any]) -> jwt.PyJWK:
    named = [key for key in keys if key.key_id == header.get("kid")] if "kid" in header else keys
    if len(named) != 1:
        raise CredentialsInvalid("the token names no known key")
    return named[0]


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """`scope` as one string (RFC 8693) or `scp` as a list; only scopes of ours count."""
    scope = claims.get("scope", claims.get("scp", ""))
    words = scope.split() if isinstance(scope, str) else scope if isinstance(scope, list) else []
    return frozenset(each for each in words if isinstance(each, str)) & frozenset(Scope)


def _printable(name: str) -> str:
    return re.sub(r"[^\x21-\x7e]", "?", name)[:200] or "?"


def new_key(path: Path, name: str, scopes: frozenset[Scope]) -> str:
    """A fresh key: its hash is added to the file, the key itself is returned and stored nowhere."""
    known = KeyFile.model_validate_json(path.read_bytes()).keys if path.exists() else ()
    secret = f"ecg_{secrets.token_urlsafe(32)}"
    stored = StoredKey(name=name, scopes=scopes, sha256=hashlib.sha256(secret.encode()).hexdigest())
    fresh = path.with_suffix(".new")
    fresh.write_text(KeyFile(keys=(*known, stored)).model_dump_json(indent=2) + "\n")
    fresh.chmod(0o600)
    fresh.replace(path)
    return secret


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m service.auth", description="make an API key")
    verbs = parser.add_subparsers(dest="verb", required=True)
    new = verbs.add_parser("new", help="add a key to the file and print it, once")
    new.add_argument("name", help="the calling system, as the audit will name it")
    new.add_argument("--scope", action="append", choices=[scope.value for scope in Scope], required=True)
    new.add_argument("--file", type=Path, required=True, help="the file that API_KEYS_FILE names")
    arguments = parser.parse_args(words)
    try:
        print(new_key(arguments.file, arguments.name, frozenset(Scope(each) for each in arguments.scope)))
    except (ValidationError, OSError) as error:
        sys.exit(f"cannot add the key: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
