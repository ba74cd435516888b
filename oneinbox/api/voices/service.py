"""Voices: the rules."""

from typing import TypeGuard

from oneinbox.api.audit import trail
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.owned import fetch_owned
from oneinbox.api.db.tables import Voice
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.paging import Page, PageRequest
from oneinbox.api.integrations.service import require_credential
from oneinbox.api.voices import repo
from oneinbox.api.voices.catalogue import BY_ID, CATALOGUE, VOICE_PREFIX
from oneinbox.api.voices.schemas import VoiceAnswer, VoiceImport
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id

_MAX_NAMED = 10


class VoiceService:
    """The catalogue, and importing voices beside it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, org_id: str, asked: PageRequest, provider: str | None) -> Page[VoiceAnswer]:
        """Return one page: the organisation's own voices, newest first, then the built-in ones."""
        built_in = [voice for voice in CATALOGUE if provider in (None, voice.provider)]
        async with self._database.read() as rows:
            own, own_total = await repo.page_of_voices(rows, org_id, provider, asked.limit, asked.offset)
        items = [VoiceAnswer.model_validate(row) for row in own]
        start = max(asked.offset - own_total, 0)
        more = built_in[start : start + asked.limit - len(items)]
        items += [VoiceAnswer.model_validate(voice) for voice in more]
        return Page(items=items, total=own_total + len(built_in), limit=asked.limit, offset=asked.offset)

    async def get(self, org_id: str, voice_id: str) -> VoiceAnswer:
        """Return one voice."""
        async with self._database.read() as rows:
            return await find_voice(rows, org_id, voice_id)

    async def add(self, caller: Caller, body: VoiceImport) -> VoiceAnswer:
        """Import a voice."""
        row = Voice(id=new_id("vc"), org_id=caller.org_id, preview_url=None, created_at=utc_now(), **body.model_dump())
        async with self._database.write() as rows:
            await require_credential(rows, caller.org_id, body.credential_id, body.provider, param="credential_id")
            rows.add(row)
            await trail.record(rows, caller, "voice.imported", "voice", row.id)
        return VoiceAnswer.model_validate(row)

    async def delete(self, caller: Caller, voice_id: str) -> None:
        """Forget an imported voice that no agent speaks with."""
        async with self._database.write() as rows:
            if voice_id in BY_ID:
                raise AppError(
                    "voice_built_in", "a built-in voice cannot be deleted: only imported ones", ErrorKind.CONFLICT
                )
            row = await fetch_owned(rows, Voice, caller.org_id, voice_id)
            if row is None:
                raise voice_not_found(voice_id)
            users = await repo.agents_speaking_with(rows, caller.org_id, voice_id, _MAX_NAMED)
            if users:
                raise AppError(
                    "voice_in_use",
                    f"the voice is used by {', '.join(users)}: give them another voice first",
                    ErrorKind.CONFLICT,
                )
            await rows.delete(row)
            await trail.record(rows, caller, "voice.deleted", "voice", voice_id)


async def find_voice(rows: Rows, org_id: str, voice_id: str, *, param: str | None = None) -> VoiceAnswer:
    """Return a built-in or imported voice by its ``vc_`` id. Raises ``AppError`` (``VOICE_NOT_FOUND``)."""
    if voice_id in BY_ID:
        return VoiceAnswer.model_validate(BY_ID[voice_id])
    row = await fetch_owned(rows, Voice, org_id, voice_id)
    if row is None:
        raise voice_not_found(voice_id, param=param)
    return VoiceAnswer.model_validate(row)


def require_voice_of(voice: VoiceAnswer, provider: str, *, param: str) -> None:
    """Refuse a voice of another provider than the one named; ``default`` takes the voice's own."""
    if provider not in ("default", voice.provider):
        raise AppError(
            "voice_mismatch",
            f"the voice is one of {voice.provider!r}, and the provider named is {provider[:80]!r}: leave it out",
            ErrorKind.INVALID,
            param=param,
        )


def is_voice_id(text: str | None) -> TypeGuard[str]:
    """Whether an agent's ``voice_id`` is one of ours, and not a provider's own name."""
    return text is not None and text.startswith(VOICE_PREFIX)


def voice_not_found(voice_id: str, *, param: str | None = None) -> AppError:
    """Return the error for a voice that is not there, or another organisation's."""
    kind = ErrorKind.NOT_FOUND if param is None else ErrorKind.INVALID
    return AppError(
        "VOICE_NOT_FOUND", f"there is no voice {voice_id[:80]!r}: GET /v1/voices lists them", kind, param=param
    )
