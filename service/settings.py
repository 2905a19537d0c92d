"""Deployment, from the environment alone. Nothing here changes a patient's answer; no secret has a default."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_SHIPPED_MODELS: Final = Path(__file__).resolve().parent.parent / "models"
_SECRETS: Final = Path("/run/secrets")
Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """Each field is the environment variable of that name in capitals (or a file of that name in /run/secrets)."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, secrets_dir=_SECRETS if _SECRETS.is_dir() else None
    )

    host: Annotated[str, Field(description="Address to listen on; other than loopback needs credentials")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on")] = 8000
    workers: Annotated[Positive, Field(description="Worker processes; a crashed one is replaced")] = 1
    root_path: Annotated[str, Field(description="Path prefix that a proxy strips")] = ""
    forwarded_allow_ips: Annotated[str, Field(description="Proxies whose X-Forwarded headers are trusted")] = (
        "127.0.0.1"
    )
    tls_cert_file: Annotated[Path | None, Field(description="Server certificate chain, PEM")] = None
    tls_key_file: Annotated[Path | None, Field(description="Server private key, PEM")] = None
    tls_client_ca_file: Annotated[Path | None, Field(description="CA of client certificates; set: mutual TLS")] = None

    models: Annotated[Path, Field(description="Folder of artefacts with SHA256SUMS, or one .onnx in it")] = (
        _SHIPPED_MODELS
    )
    default_model: Annotated[str | None, Field(description="Model that answers when a request names none")] = None

    audit_url: Annotated[
        SecretStr, Field(description="Audit store: sqlite:///path or postgresql://user:pw@host/db")
    ] = SecretStr("sqlite:///var/audit.db")
    audit_key_file: Annotated[
        Path | None, Field(description="Secret that keys the hash chain (HMAC); unset: SHA-256")
    ] = None
    idempotency_hours: Annotated[Seconds, Field(description="How long an Idempotency-Key is remembered")] = 24
    store_timeout_s: Annotated[Seconds, Field(description="Longest wait for the audit store before 503")] = 10

    api_keys_file: Annotated[Path | None, Field(description="API keys, hashed; made by python -m service.auth")] = None
    jwks_file: Annotated[Path | None, Field(description="Public keys (JWKS) of the token issuer")] = None
    jwt_issuer: Annotated[str | None, Field(description="Required `iss` of tokens")] = None
    jwt_audience: Annotated[str | None, Field(description="Required `aud` of tokens")] = None

    max_upload_bytes: Annotated[Positive, Field(description="Largest body of /predict")] = 32 * 2**20
    max_batch_bytes: Annotated[Positive, Field(description="Largest body of /predict/batch")] = 128 * 2**20
    max_batch_records: Annotated[Positive, Field(description="Most records of one batch")] = 1_000
    upload_timeout_s: Annotated[
        Seconds, Field(description="Longest time for a head or a body to arrive, and for an answer to be taken")
    ] = 30
    answer_timeout_s: Annotated[Seconds, Field(description="Longest wait for an answer, queue included")] = 30
    queue_size: Annotated[Positive, Field(description="Requests held per worker; one more gets 503")] = 32
    batches_at_once: Annotated[Positive, Field(description="Batches held per worker; one more waits for its turn")] = 2
    batches_waiting: Annotated[int, Field(ge=0, description="Batches that may wait per worker; one more gets 503")] = 8
    batch_wait_s: Annotated[Seconds, Field(description="Longest wait of a batch for its turn before 503")] = 10
    rate_per_minute: Annotated[float, Field(ge=0, description="Requests a minute and caller; 0: unlimited")] = 0
    rate_burst: Annotated[Positive, Field(description="Requests a caller may send at once")] = 20
    shutdown_timeout_s: Annotated[Positive, Field(description="Longest drain after SIGTERM")] = 30

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least severe line logged")
    ] = "info"
    runtime_dir: Annotated[Path | None, Field(description="Writable folder for counters shared by workers")] = None
    otel_exporter_otlp_endpoint: Annotated[
        str | None, Field(description="Where OpenTelemetry traces go; unset: none")
    ] = None

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def has_credentials(self) -> bool:
        return self.api_keys_file is not None or self.jwks_file is not None

    @model_validator(mode="after")
    def _guarded_when_reachable(self) -> Self:
        if not self.is_loopback and not self.has_credentials:
            raise ValueError(
                f"HOST={self.host} is reachable from other machines and no credentials are configured: "
                "set API_KEYS_FILE (make a key with `python -m service.auth new`) or JWKS_FILE, or set HOST=127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _tokens_bound_to_us(self) -> Self:
        if self.jwks_file and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError("JWKS_FILE needs JWT_ISSUER and JWT_AUDIENCE, or tokens made for others would be accepted")
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            raise ValueError("TLS_CERT_FILE and TLS_KEY_FILE go together")
        return self


def load() -> Settings:
    return Settings()


def share(variable: str, value: str) -> None:
    """Hand a value to worker processes, which inherit the environment."""
    os.environ[variable] = value


def is_shared(variable: str) -> bool:
    return variable in os.environ


def shared(variable: str) -> str:
    return os.environ[variable]


def reference() -> str:
    """Every setting as a Markdown table, for the handbook."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        shown = "unset" if default is None else "the folder `models`" if name == "models" else f"`{default}`"
        lines.append(f"| `{name.upper()}` | {shown if default != '' else 'empty'} | {field.description} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(reference())
