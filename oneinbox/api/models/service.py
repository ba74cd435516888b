"""Language models: the rules."""

from oneinbox.api.audit import trail
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.owned import fetch_owned
from oneinbox.api.db.tables import LanguageModel
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.paging import Page, PageRequest
from oneinbox.api.integrations.service import require_credential
from oneinbox.api.knowledge.service import require_knowledge_bases
from oneinbox.api.models import repo
from oneinbox.api.models.schemas import ModelAnswer, ModelCreate, ModelPatch
from oneinbox.api.tools.service import require_tools
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id
from oneinbox.net.outbound import OutboundGuard

_MAX_NAMED = 10


def make_model(org_id: str, body: ModelCreate) -> LanguageModel:
    """Return a new row, not yet stored."""
    now = utc_now()
    return LanguageModel(id=new_id("llm"), org_id=org_id, created_at=now, updated_at=now, **body.model_dump())


class ModelService:
    """Making, reading, changing and deleting models."""

    def __init__(self, database: Database, outbound: OutboundGuard) -> None:
        self._database = database
        self._outbound = outbound

    async def create(self, caller: Caller, body: ModelCreate) -> ModelAnswer:
        """Make a model."""
        self._check_url(body.custom_websocket_url)
        row = make_model(caller.org_id, body)
        async with self._database.write() as rows:
            await _require_parts(rows, row, set(body.model_fields_set))
            rows.add(row)
            await trail.record(rows, caller, "model.created", "model", row.id)
        return ModelAnswer.model_validate(row)

    async def page(self, org_id: str, asked: PageRequest) -> Page[ModelAnswer]:
        """Return one page of models, newest first."""
        async with self._database.read() as rows:
            found, total = await repo.page_of_models(rows, org_id, asked.limit, asked.offset)
        items = [ModelAnswer.model_validate(row) for row in found]
        return Page(items=items, total=total, limit=asked.limit, offset=asked.offset)

    async def get(self, org_id: str, model_id: str) -> ModelAnswer:
        """Return one model."""
        async with self._database.read() as rows:
            row = await fetch_owned(rows, LanguageModel, org_id, model_id)
        if row is None:
            raise model_not_found(model_id)
        return ModelAnswer.model_validate(row)

    async def update(self, caller: Caller, model_id: str, body: ModelPatch) -> ModelAnswer:
        """Change what the body says: a new provider needs its model's name with it (null: the provider's default)."""
        said = body.said()
        self._check_url(body.custom_websocket_url)
        async with self._database.write() as rows:
            row = await fetch_owned(rows, LanguageModel, caller.org_id, model_id)
            if row is None:
                raise model_not_found(model_id)
            if said.get("provider", row.provider) != row.provider and "model" not in said:
                raise AppError(
                    "model_required",
                    "a new provider needs its model's name with it: send provider and model together "
                    "(model null takes the provider's default)",
                    ErrorKind.INVALID,
                    param="model",
                )
            for name, value in said.items():
                setattr(row, name, value)
            await _require_parts(rows, row, set(said))
            row.updated_at = utc_now()
            await trail.record(rows, caller, "model.updated", "model", row.id)
        return ModelAnswer.model_validate(row)

    async def delete(self, caller: Caller, model_id: str) -> None:
        """Delete a model that no agent uses."""
        async with self._database.write() as rows:
            row = await fetch_owned(rows, LanguageModel, caller.org_id, model_id)
            if row is None:
                raise model_not_found(model_id)
            users = await repo.agents_using(rows, caller.org_id, model_id, _MAX_NAMED + 1)
            if users:
                named = ", ".join(f"{name} ({agent_id})" for agent_id, name in users[:_MAX_NAMED])
                more = " and others" if len(users) > _MAX_NAMED else ""
                raise AppError(
                    "model_in_use",
                    f"the model is used by {named}{more}: give them another model, or delete them first",
                    ErrorKind.CONFLICT,
                )
            await rows.delete(row)
            await trail.record(rows, caller, "model.deleted", "model", row.id)

    def _check_url(self, url: str | None) -> None:
        if url is not None:
            self._outbound.require(url, param="custom_websocket_url", schemes=("ws", "wss"))


async def _require_parts(rows: Rows, row: LanguageModel, said: set[str]) -> None:
    """Refuse tools, knowledge and a credential that are not there, where the caller named them."""
    with rows.no_autoflush:  # what is refused must not reach the database first
        if "tool_ids" in said:
            await require_tools(rows, row.org_id, row.tool_ids, param="tool_ids")
        if "knowledge_base_ids" in said:
            await require_knowledge_bases(rows, row.org_id, row.knowledge_base_ids, param="knowledge_base_ids")
        if said & {"credential_id", "provider"} and row.credential_id is not None:
            await require_credential(rows, row.org_id, row.credential_id, row.provider, param="credential_id")


def model_not_found(model_id: str, *, param: str | None = None) -> AppError:
    """Return the error for a model that is not there, or another organisation's."""
    kind = ErrorKind.NOT_FOUND if param is None else ErrorKind.INVALID
    return AppError("model_not_found", f"there is no model {model_id[:80]!r}", kind, param=param)
