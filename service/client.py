"""A small typed client: one ECG or many, with the retries that the service asks for. Needs httpx and pydantic only."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from service.schemas import Answer, AuditPage, FormatList, ModelDetail, ModelList, Problem, Ready, Version

_RETRIED: Final = (429, 503)
Source = Path | str | bytes
_Files = list[tuple[str, tuple[str, bytes]]]


class Refused(Exception):
    """The service's problem, as it told it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.code}: {problem.detail}")
        self.problem = problem


class Client:
    """`with Client("https://ecg.hospital.example", api_key=...) as client: client.predict("ecg.xml").risk.score`"""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        token: str | None = None,
        timeout_s: float = 60,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"X-API-Key": api_key} if api_key else {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s, transport=transport)
        self._retries = retries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def predict(
        self,
        file: Source | None = None,
        *,
        header: Source | None = None,
        signal: Source | None = None,
        model: str | None = None,
        explain: bool = True,
        include: Sequence[str] = (),
        request_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Answer:
        """One recording: `file`, or the `header` and `signal` of a WFDB record."""
        content = self.represent(
            "application/json", file, header=header, signal=signal, model=model, explain=explain, include=include,
            request_id=request_id, idempotency_key=idempotency_key,
        )  # fmt: skip
        return Answer.model_validate_json(content)

    def represent(
        self,
        media_type: str,
        file: Source | None = None,
        *,
        header: Source | None = None,
        signal: Source | None = None,
        model: str | None = None,
        explain: bool = True,
        include: Sequence[str] = (),
        reference: str = "",
        request_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> bytes:
        """The same answer as FHIR, PDF or SVG; `reference` is your own number of this ECG, told there."""
        named = {"file": file, "header": header, "signal": signal}
        files: _Files = [(field, _part(source)) for field, source in named.items() if source is not None]
        headers = {
            "Accept": media_type,
            "X-Request-ID": request_id or uuid4().hex,
            # Retries after an overload or a broken connection must not become a second answer.
            "Idempotency-Key": idempotency_key or uuid4().hex,
        }
        data = {"explain": str(explain).lower(), "include": ",".join(include)}
        data |= {name: value for name, value in (("model", model), ("reference", reference)) if value}
        return self._sent("POST", "/predict", files=files, data=data, headers=headers).content

    def predict_batch(self, files: Sequence[Source], *, explain: bool = True) -> Iterator[Answer | Problem]:
        """One answer or problem a record, in order, as they come."""
        parts: _Files = [("file", _part(source)) for source in files]
        data = {"explain": str(explain).lower()}
        with self._http.stream("POST", "/predict/batch", files=parts, data=data) as response:
            if response.is_error:
                response.read()
                raise Refused(_problem(response))
            yield from (_line(line) for line in response.iter_lines() if line)

    def models(self) -> ModelList:
        return ModelList.model_validate_json(self._sent("GET", "/models").content)

    def model(self, name: str) -> ModelDetail:
        return ModelDetail.model_validate_json(self._sent("GET", f"/models/{name}").content)

    def reload_models(self) -> ModelList:
        return ModelList.model_validate_json(self._sent("POST", "/models/reload").content)

    def prediction(self, id: str) -> Answer:
        return Answer.model_validate_json(self._sent("GET", f"/predictions/{id}").content)

    def audit(self, **filters: str | int) -> AuditPage:
        return AuditPage.model_validate_json(self._sent("GET", "/predictions", params=filters).content)

    def formats(self) -> FormatList:
        return FormatList.model_validate_json(self._sent("GET", "/formats").content)

    def sample(self, format: str) -> bytes:
        return self._sent("GET", f"/samples/{format}").content

    def ready(self) -> Ready:
        return Ready.model_validate_json(self._sent("GET", "/health/ready").content)

    def version(self) -> Version:
        return Version.model_validate_json(self._sent("GET", "/version").content)

    def _sent(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer; overload is waited out as the service says, as often as `retries` allows."""
        for tries_left in range(self._retries, -1, -1):
            response = self._http.request(method, path, **request)
            if response.status_code not in _RETRIED or not tries_left:
                break
            time.sleep(float(response.headers.get("retry-after", "1")))
        if response.is_error:
            raise Refused(_problem(response))
        return response


def _part(source: Source) -> tuple[str, bytes]:
    if isinstance(source, bytes):
        return "recording", source
    path = Path(source)
    return path.name, path.read_bytes()


def _problem(response: httpx.Response) -> Problem:
    try:
        return Problem.model_validate_json(response.content)
    except ValueError:
        return Problem(
            type="about:blank", title=response.reason_phrase, status=response.status_code,
            detail="not from this service", code="unknown", request_id="-",
        )  # fmt: skip


def _line(text: str) -> Answer | Problem:
    members: Mapping[str, Any] = json.loads(text)
    if "code" in members:
        return Problem.model_validate(members)
    return Answer.model_validate({name: value for name, value in members.items() if name not in ("index", "name")})
