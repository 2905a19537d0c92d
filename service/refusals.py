"""What the web door itself refuses, beside what the core refuses: the same tree, so that one table answers for both."""

from __future__ import annotations

from ecg.errors import EcgError, ModelError


class Refusal(EcgError):
    code = "refusal"


class RequestInvalid(Refusal):
    code = "request_invalid"


class UploadMissing(Refusal):
    code = "upload_missing"


class PrefetchMissing(Refusal):
    """CDS Hooks' own way to say that the call lacks what the service needs."""

    code = "prefetch_missing"


class CredentialsMissing(Refusal):
    code = "credentials_missing"


class CredentialsInvalid(Refusal):
    code = "credentials_invalid"


class ScopeMissing(Refusal):
    code = "scope_missing"


class NotFound(Refusal):
    code = "not_found"


class MethodNotAllowed(Refusal):
    code = "method_not_allowed"


class NotAcceptable(Refusal):
    code = "not_acceptable"


class UploadTimeout(Refusal):
    code = "upload_timeout"


class KeyReused(Refusal):
    code = "idempotency_key_reused"


class MediaTypeUnsupported(Refusal):
    code = "media_type_unsupported"


class ClientClosed(Refusal):
    """Never sent, since nobody listens any more; it is how such a request shows in the audit."""

    code = "client_closed"


class Overloaded(Refusal):
    """Come back later; `retry_after_s` becomes the Retry-After header."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(Overloaded):
    code = "rate_limited"


class QueueFull(Overloaded):
    code = "queue_full"


class AnswerTimeout(Overloaded):
    code = "answer_timeout"


class StoreUnavailable(Overloaded):
    code = "audit_unavailable"


class InternalError(Refusal):
    code = "internal_error"


class ArtefactAltered(ModelError):
    code = "artefact_altered"
