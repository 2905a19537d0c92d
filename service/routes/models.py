"""GET /models, /models/{name}: what answers, its contract, its card. POST /models/reload looks anew."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from service import house
from service.auth import Caller, Scope
from service.guard import may
from service.openapi import PROBLEMS
from service.registry import Model, Shelf
from service.schemas import ModelDetail, ModelList, ModelSummary, Refused
from service.supervisor import tell_siblings

router = APIRouter(tags=["models"], responses=PROBLEMS)


@router.get("/models")
async def models(request: Request, _caller: Annotated[Caller, Depends(may(Scope.PREDICT, Scope.ADMIN))]) -> ModelList:
    """Every model that may answer; artefacts that may not, with the reason, under `refused`."""
    return _listing(house.of(request).models.shelf)


@router.get("/models/{name}")
async def model(
    request: Request, name: str, _caller: Annotated[Caller, Depends(may(Scope.PREDICT, Scope.ADMIN))]
) -> ModelDetail:
    """The contract and the card of a model (newest version), or of one version (`name-1.2.3`)."""
    shelf = house.of(request).models.shelf
    found = shelf.choose(name)
    contract: dict[str, Any] = found.contract.model_dump(mode="json")
    return ModelDetail(**_summary(found, shelf).model_dump(), contract=contract, card=found.card)


@router.post("/models/reload")
async def reload(request: Request, _caller: Annotated[Caller, Depends(may(Scope.ADMIN))]) -> ModelList:
    """Verify the folder's artefacts again and answer with what passed. No request is dropped meanwhile."""
    shelf = await house.of(request).reload_models()
    tell_siblings()
    return _listing(shelf)


def _listing(shelf: Shelf) -> ModelList:
    found = [_summary(each, shelf) for _, each in sorted(shelf.by_label.items())]
    refused = [Refused(file=fault.file, code=fault.code, detail=fault.message) for fault in shelf.faults]
    return ModelList(models=found, default=shelf.default.name, refused=refused)


def _summary(found: Model, shelf: Shelf) -> ModelSummary:
    facts = found.contract.model
    return ModelSummary(
        name=facts.name, version=facts.version, sha256=found.sha256, contract_digest=found.contract_digest,
        intended_use=facts.intended_use.value, population=facts.population, created=facts.created,
        default=found is shelf.default,
    )  # fmt: skip
