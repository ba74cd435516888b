"""Tools: the rules."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from pydantic import ValidationError

from oneinbox.api.audit import trail
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.owned import fetch_all_owned, fetch_owned, page_of_owned
from oneinbox.api.db.tables import Tool
from oneinbox.api.db.vault import SealedError, Vault
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.paging import Page, PageRequest
from oneinbox.api.integrations.service import CredentialService, find_credential
from oneinbox.api.tools import repo
from oneinbox.api.tools.fields import MASK
from oneinbox.api.tools.functions import arguments_schema, function_name, with_distinct_names
from oneinbox.api.tools.schemas import TOOL, AnyTool, ApiCallTool, McpServerTool, ToolAnswer, ToolPatch
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id
from oneinbox.core.spec import ToolSpec
from oneinbox.net.outbound import OutboundGuard

_MAX_NAMED = 10
_PLACEHOLDER = re.compile(r"\{\{\s*[A-Za-z_][A-Za-z0-9_]*\s*\}\}")
_WITH_URL = ("api_call", "mcp_server")
_COLUMNS = ("type", "name", "description")
_CREDENTIAL_PROVIDERS = {
    "send_email": ("resend", "sendgrid"),
    "schedule_calendar_event": ("cal.com",),
    "api_call": ("custom",),
    "mcp_server": ("custom",),
}


class ToolService:
    """Making, reading, changing and deleting tools, and handing them to calls."""

    def __init__(
        self, database: Database, vault: Vault, outbound: OutboundGuard, credentials: CredentialService
    ) -> None:
        self._credentials = credentials
        self._database = database
        self._vault = vault
        self._outbound = outbound

    async def create(self, caller: Caller, body: AnyTool) -> ToolAnswer:
        """Make a tool."""
        now = utc_now()
        row = Tool(id=new_id("tool"), org_id=caller.org_id, created_at=now, updated_at=now)
        async with self._database.write() as rows:
            await self._fill(rows, row, body, {})
            rows.add(row)
            await trail.record(rows, caller, "tool.created", "tool", row.id)
        return _answer(row)

    async def page(self, org_id: str, asked: PageRequest) -> Page[ToolAnswer]:
        """Return one page of tools, newest first."""
        async with self._database.read() as rows:
            found, total = await page_of_owned(rows, Tool, org_id, asked.limit, asked.offset)
        return Page(items=[_answer(row) for row in found], total=total, limit=asked.limit, offset=asked.offset)

    async def get(self, org_id: str, tool_id: str) -> ToolAnswer:
        """Return one tool."""
        async with self._database.read() as rows:
            return _answer(await _find(rows, org_id, tool_id))

    async def update(self, caller: Caller, tool_id: str, body: ToolPatch) -> ToolAnswer:
        """Change what the body says. What comes out has to be a tool of its type again."""
        async with self._database.write() as rows:
            row = await _find(rows, caller.org_id, tool_id)
            stored_headers = self._headers(row)
            said = body.model_dump(include=set(body.model_fields_set))
            together = {
                "type": row.type,
                "name": row.name,
                "description": row.description,
                **row.config,
                **said,
            }
            try:
                changed = TOOL.validate_python(together)
            except ValidationError as error:
                raise _unfit(error, row.type) from None
            await self._fill(rows, row, changed, stored_headers)
            row.updated_at = utc_now()
            await trail.record(rows, caller, "tool.updated", "tool", row.id)
        return _answer(row)

    async def delete(self, caller: Caller, tool_id: str) -> None:
        """Delete a tool that no model has."""
        async with self._database.write() as rows:
            row = await _find(rows, caller.org_id, tool_id)
            users = await repo.models_with_tool(rows, caller.org_id, row.id, _MAX_NAMED)
            if users:
                raise AppError(
                    "tool_in_use",
                    f"the tool is used by {', '.join(users)}: take it out of their tool_ids first",
                    ErrorKind.CONFLICT,
                )
            await rows.delete(row)
            await trail.record(rows, caller, "tool.deleted", "tool", tool_id)

    async def specs(self, rows: Rows, org_id: str, tool_ids: Sequence[str]) -> tuple[ToolSpec, ...]:
        """Return the tools as a call has them; ids of tools that are gone are left out."""
        found = await fetch_all_owned(rows, Tool, org_id, tool_ids)
        return with_distinct_names([await self._spec(rows, row) for row in found])

    async def _spec(self, rows: Rows, row: Tool) -> ToolSpec:
        config: dict[str, Any] = {"id": row.id, **row.config}
        if row.type in _WITH_URL:
            config["headers"] = self._headers(row)
        if credential_id := config.get("credential_id"):
            opened = await self._credentials.open(rows, row.org_id, credential_id, param="tool_ids")
            config["credential"] = {
                "provider": opened.provider,
                "api_key": opened.api_key,
                "metadata": opened.metadata,
            }
        return ToolSpec(
            name=function_name(row.name),
            type=row.type,
            description=row.description,
            parameters=arguments_schema(row.type, row.config),
            config=config,
        )

    async def _fill(self, rows: Rows, row: Tool, body: AnyTool, stored_headers: dict[str, str]) -> None:
        said = body.model_dump(mode="json")
        if isinstance(body, (ApiCallTool, McpServerTool)):
            # A placeholder may stand for part of the path; braces are refused in a host, which decides where it goes.
            self._outbound.require(_PLACEHOLDER.sub("{}", body.url), param="url")
            said["headers"] = self._seal_headers(row, body.headers, stored_headers)
        if (credential_id := said.get("credential_id")) is not None:
            await _require_fitting(rows, row.org_id, credential_id, body.type)
        for name in _COLUMNS:
            setattr(row, name, said.pop(name))
        row.config = said

    def _seal_headers(self, row: Tool, headers: dict[str, str], stored: dict[str, str]) -> dict[str, str]:
        """Seal the values, and return what is shown of them: placeholders as they are, everything else masked."""
        values: dict[str, str] = {}
        for name, value in headers.items():
            if value == MASK and name not in stored:
                raise AppError(
                    "header_not_stored",
                    f"the header {name!r} has no stored value that {MASK} could keep: send its value",
                    ErrorKind.INVALID,
                    param=f"headers.{name}",
                )
            values[name] = stored[name] if value == MASK else value
        row.sealed_headers = self._vault.seal(msgspec.json.encode(values).decode(), *_bound_to(row))
        return {name: value if _PLACEHOLDER.fullmatch(value) else MASK for name, value in values.items()}

    def _headers(self, row: Tool) -> dict[str, str]:
        if row.sealed_headers is None:
            return {}
        try:
            opened = self._vault.open(row.sealed_headers, *_bound_to(row))
        except SealedError as error:
            raise AppError(
                "credential_unreadable",
                f"the headers of the tool {row.id} cannot be opened ({error}): make the tool anew",
                ErrorKind.INVALID,
            ) from None
        return msgspec.json.decode(opened, type=dict[str, str])


async def require_tools(rows: Rows, org_id: str, tool_ids: Sequence[str], *, param: str) -> None:
    """Refuse a list that names a tool which is not there, or another organisation's."""
    found = {row.id for row in await fetch_all_owned(rows, Tool, org_id, tool_ids)}
    for index, tool_id in enumerate(tool_ids):
        if tool_id not in found:
            raise _not_found(tool_id, param=f"{param}.{index}")


async def _find(rows: Rows, org_id: str, tool_id: str) -> Tool:
    row = await fetch_owned(rows, Tool, org_id, tool_id)
    if row is None:
        raise _not_found(tool_id)
    return row


async def _require_fitting(rows: Rows, org_id: str, credential_id: str, tool_type: str) -> None:
    credential = await find_credential(rows, org_id, credential_id, param="credential_id")
    fitting = _CREDENTIAL_PROVIDERS[tool_type]
    if credential.provider not in fitting:
        raise AppError(
            "credential_mismatch",
            f"the credential is for {credential.provider!r}; this tool needs one for {' or '.join(fitting)}",
            ErrorKind.INVALID,
            param="credential_id",
        )


def _bound_to(row: Tool) -> tuple[str, ...]:
    return "tools", row.org_id, row.id


def _answer(row: Tool) -> ToolAnswer:
    return ToolAnswer.model_validate(
        {
            **row.config,
            "id": row.id,
            "type": row.type,
            "name": row.name,
            "description": row.description,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )


def _unfit(error: ValidationError, tool_type: str) -> AppError:
    first: Any = error.errors(include_url=False, include_input=False)[0]
    param = ".".join(str(part) for part in first["loc"] if part != tool_type)
    said = "does not belong to this type of tool" if first["type"] == "extra_forbidden" else first["msg"]
    return AppError("tool_unfit", f"{param}: {said}", ErrorKind.INVALID, param=param)


def _not_found(tool_id: str, *, param: str | None = None) -> AppError:
    kind = ErrorKind.NOT_FOUND if param is None else ErrorKind.INVALID
    return AppError("tool_not_found", f"there is no tool {tool_id[:80]!r}", kind, param=param)
