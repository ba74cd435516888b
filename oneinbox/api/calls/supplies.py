"""What a call takes from other records: voices, own accounts, tools, knowledge. Looked up only where one is named."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from oneinbox.api.agents.stages import Wishes
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.tables import LanguageModel
from oneinbox.api.integrations.accounts import serves_own_accounts
from oneinbox.api.integrations.service import Account, CredentialService, OpenedCredential
from oneinbox.api.knowledge.supply import knowledge_for_call
from oneinbox.api.models.schemas import DEFAULT
from oneinbox.api.tools.functions import with_distinct_names
from oneinbox.api.tools.service import ToolService
from oneinbox.api.voices.service import find_voice, is_voice_id, require_voice_of
from oneinbox.core.errors import Stage
from oneinbox.core.spec import ToolSpec

_PARAM = {
    Stage.LLM: "llm.credential_id",
    Stage.STT: "transcriber.credential_id",
    Stage.TTS: "tts.credential_id",
}


@dataclass(frozen=True, kw_only=True)
class Supplies:
    """What was found. ``wishes`` name providers' own voices, and ``accounts`` has each stage with a credential."""

    wishes: Wishes
    accounts: Mapping[Stage, Account]
    tools: tuple[ToolSpec, ...] = ()
    knowledge: str = ""


def needs_nothing(model: LanguageModel, wishes: Wishes) -> bool:
    """Whether a call of this model with these wishes takes nothing from other records."""
    staged = any(wishes.of(stage).credential_id for stage in Stage) or is_voice_id(wishes.tts.voice)
    return not (staged or model.tool_ids or model.knowledge_base_ids)


class Storeroom:
    """Finds what calls need."""

    def __init__(self, database: Database, credentials: CredentialService, tools: ToolService) -> None:
        self._database = database
        self._credentials = credentials
        self._tools = tools

    async def supplies(self, org_id: str, model: LanguageModel, wishes: Wishes) -> Supplies:
        """Return what the call needs. Raises ``AppError`` where something is gone or may not be reached."""
        if needs_nothing(model, wishes):
            return Supplies(wishes=wishes, accounts={})
        async with self._database.read() as rows:
            wishes = await _with_provider_voice(rows, org_id, wishes)
            opened = await self._open(rows, org_id, wishes)
            tools = await self._tools.specs(rows, org_id, model.tool_ids) if model.tool_ids else ()
            knowledge, search = await knowledge_for_call(rows, org_id, model.knowledge_base_ids)
        if search is not None:
            tools = with_distinct_names([search, *tools])
        return Supplies(wishes=wishes, accounts=await self._reach(opened), tools=tools, knowledge=knowledge)

    async def _open(self, rows: Rows, org_id: str, wishes: Wishes) -> dict[Stage, OpenedCredential]:
        opened: dict[Stage, OpenedCredential] = {}
        for stage in Stage:
            wish = wishes.of(stage)
            if wish.credential_id is not None and serves_own_accounts(wish.provider, stage):
                opened[stage] = await self._credentials.open(rows, org_id, wish.credential_id, param=_PARAM[stage])
        return opened

    async def _reach(self, opened: Mapping[Stage, OpenedCredential]) -> dict[Stage, Account]:
        stages: Sequence[Stage] = list(opened)
        reached = await asyncio.gather(
            *(self._credentials.reach(opened[stage], param=_PARAM[stage]) for stage in stages)
        )
        return dict(zip(stages, reached, strict=True))


async def _with_provider_voice(rows: Rows, org_id: str, wishes: Wishes) -> Wishes:
    """Put the provider, its own name of the voice, and the voice's account in the place of a ``vc_`` id."""
    wish = wishes.tts
    if not is_voice_id(wish.voice):
        return wishes
    voice = await find_voice(rows, org_id, wish.voice, param="tts.voice_id")
    require_voice_of(voice, wish.provider, param="tts.voice_id")
    credential_id = wish.credential_id if wish.provider != DEFAULT else None
    tts = replace(
        wish,
        provider=voice.provider,
        voice=voice.provider_voice_id,
        credential_id=credential_id or voice.credential_id,
    )
    return replace(wishes, tts=tts)
