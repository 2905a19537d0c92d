"""Credentials: hashed keys and signed tokens, rotated while the service runs; nothing weaker gets in."""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from service.auth import Gate, Scope, main, new_key
from service.refusals import CredentialsInvalid, CredentialsMissing, ScopeMissing
from service.settings import Settings

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP384R1())
ISSUER, AUDIENCE = "https://login.example", "ecg"


def jwks(*pairs: tuple[str, Any]) -> str:
    made = []
    for kid, key in pairs:
        algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
        made.append({**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"})
    return json.dumps({"keys": made})


@pytest.fixture
def token_gate(tmp_path: Path) -> tuple[Gate, Path]:
    path = tmp_path / "jwks.json"
    path.write_text(jwks(("r1", RSA), ("e1", EC)))
    return Gate(Settings(jwks_file=path, jwt_issuer=ISSUER, jwt_audience=AUDIENCE)), path


def token(key: Any = RSA, algorithm: str = "RS384", kid: str = "r1", **changes: Any) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "pacs", "exp": time.time() + 60, "scope": "predict launch audit"}
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={"kid": kid})


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA, "RS384", "r1"), (RSA, "RS256", "r1"), (EC, "ES384", "e1")])
def test_a_good_token_is_its_subject(token_gate: tuple[Gate, Path], key: Any, algorithm: str, kid: str) -> None:
    """RS and ES tokens of the issuer pass, with the scopes that are ours and no others."""
    caller = token_gate[0].identify(f"Bearer {token(key, algorithm, kid)}", None)
    assert (caller.name, caller.scopes) == ("pacs", {Scope.PREDICT, Scope.AUDIT})
    with pytest.raises(ScopeMissing):
        caller.require(Scope.ADMIN)


@pytest.mark.parametrize("scope", [5, {"predict": 1}, [["predict"], None], True])
def test_odd_scopes_are_none(token_gate: tuple[Gate, Path], scope: Any) -> None:
    """A token whose scope is neither text nor a list of texts carries no scope; it breaks nothing."""
    assert token_gate[0].identify(f"Bearer {token(scope=scope)}", None).scopes == frozenset()


def _confused() -> str:
    """HS256 with the public key as secret: the classic confusion of algorithms."""
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "r1"}, {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": 9e9}]
    head = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    mac = base64.urlsafe_b64encode(hmac.new(public, head, sha256).digest()).rstrip(b"=")
    return (head + b"." + mac).decode()


FORGERIES: dict[str, Callable[[], str]] = {
    "expired": lambda: token(exp=time.time() - 120),
    "no expiry": lambda: token(exp=None),
    "no subject": lambda: token(sub=None),
    "other audience": lambda: token(aud="another"),
    "other issuer": lambda: token(iss="https://evil.example"),
    "not yet": lambda: token(nbf=time.time() + 600),
    "unknown key": lambda: token(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    "unknown kid": lambda: token(kid="r9"),
    "key of another type": lambda: token(EC, "ES384", "r1"),
    "no signature": lambda: jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": 9e9}, None, "none"),
    "confused algorithm": _confused,
    "not a token": lambda: "abc",
    "empty parts": lambda: "..",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_token_is_refused(token_gate: tuple[Gate, Path], forge: Callable[[], str]) -> None:
    """Whatever is wrong with a token, it is refused, and the refusal does not say what."""
    with pytest.raises(CredentialsInvalid):
        token_gate[0].identify(f"Bearer {forge()}", None)


def test_keys_of_the_issuer_rotate(token_gate: tuple[Gate, Path]) -> None:
    """A changed JWKS file counts at once; a broken one is ignored and the last good one stays."""
    gate, path = token_gate
    fresh = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _replace(path, jwks(("r2", fresh)))
    assert gate.identify(f"Bearer {token(fresh, kid='r2')}", None).name == "pacs"
    with pytest.raises(CredentialsInvalid):
        gate.identify(f"Bearer {token()}", None)
    for broken in ("{", "[]", '{"keys": []}', '{"keys": [3]}', '{"keys": [{"kty": "RSA", "n": "!", "e": "!"}]}'):
        _replace(path, broken)
        assert gate.identify(f"Bearer {token(fresh, kid='r2')}", None).name == "pacs"


def _replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(".tmp")
    fresh.write_text(text)
    os.replace(fresh, path)


def test_api_keys_are_hashed_scoped_and_rotated(tmp_path: Path) -> None:
    """The file never holds a key; a key carries its scopes; a removed or expired key is out at once."""
    path = tmp_path / "keys.json"
    secret = new_key(path, "viewer", frozenset({Scope.PREDICT}))
    gate = Gate(Settings(api_keys_file=path))
    assert secret not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    caller = gate.identify(None, secret)
    assert (caller.name, caller.scopes) == ("viewer", {Scope.PREDICT})
    second = new_key(path, "viewer", frozenset({Scope.PREDICT, Scope.AUDIT}))
    assert gate.identify(None, second).scopes == {Scope.PREDICT, Scope.AUDIT}
    assert gate.identify(None, secret)
    document = json.loads(path.read_text())
    document["keys"][1]["expires"] = "2020-01-01T00:00:00Z"
    _replace(path, json.dumps({"keys": document["keys"][1:]}))
    for gone in (secret, second, "", "ecg_", secret[:-1], "\u00e9"):
        with pytest.raises((CredentialsInvalid, CredentialsMissing)):
            gate.identify(None, gone)


@pytest.mark.parametrize("authorization", [None, "", "Basic dXNlcjpwdw==", "Bearer", "Bearer "])
def test_without_credentials_nobody_gets_in(tmp_path: Path, authorization: str | None) -> None:
    """Where credentials are configured, their absence is told as such."""
    new_key(tmp_path / "keys.json", "a", frozenset({Scope.PREDICT}))
    with pytest.raises(CredentialsMissing):
        Gate(Settings(api_keys_file=tmp_path / "keys.json")).identify(authorization, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "ecg.hospital.example"])
def test_a_reachable_host_needs_credentials(host: str, tmp_path: Path) -> None:
    """Other than on loopback the settings themselves are refused, and the refusal says what to set."""
    with pytest.raises(ValidationError, match="API_KEYS_FILE"):
        Settings(host=host)
    assert Settings(host=host, api_keys_file=tmp_path / "keys.json").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    """On loopback the service is for whoever sits at the machine."""
    assert Gate(Settings(host=host)).identify(None, None).name == "local"


def test_tokens_must_be_bound(tmp_path: Path) -> None:
    """A JWKS without issuer and audience would accept tokens made for others."""
    with pytest.raises(ValidationError, match="JWT_AUDIENCE"):
        Settings(jwks_file=tmp_path / "jwks.json")


def test_the_command_prints_a_key_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`new` prints a working key; a name that is no name is refused."""
    path = tmp_path / "keys.json"
    assert main(["new", "pacs", "--scope", "predict", "--scope", "audit", "--file", str(path)]) == 0
    secret = capsys.readouterr().out.strip()
    assert Gate(Settings(api_keys_file=path)).identify(None, secret).scopes == {Scope.PREDICT, Scope.AUDIT}
    with pytest.raises(SystemExit):
        main(["new", "a b\n", "--scope", "predict", "--file", str(path)])
