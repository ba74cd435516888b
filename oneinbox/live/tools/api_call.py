"""``api_call``: asks a server of the account's."""

from collections.abc import Mapping
from typing import Any

import msgspec

from oneinbox.core.spec import ToolSpec
from oneinbox.live.engine.ports import ToolOutcome
from oneinbox.live.tools.arguments import UnfitError, checked, fill_header, fill_path
from oneinbox.live.tools.asking import IDEMPOTENCY_KEY, Answer, Asked, AskFailedError, Web, secrets_of
from oneinbox.live.tools.settings import ToolSettings

CALL_HEADER = "X-OneInbox-Call-Id"
_SHOWN_OF_A_FAILURE = 2_000
_IN_QUERY = frozenset({"GET", "DELETE"})
_TEXTS = ("text/", "application/json", "application/xml", "application/problem")


class ApiCall(ToolSettings):
    """One tool of one call.

    ``{{name}}`` in the URL is filled with the model's arguments or, for other names, the call's variables; in headers with
    the call's variables alone. Arguments that the URL does not use go into the query (GET, DELETE) or a JSON body.
    """

    def __init__(self, spec: ToolSpec, web: Web, *, call_id: str, variables: Mapping[str, Any]) -> None:
        super().__init__(spec)
        self._spec = spec
        self._web = web
        self._call_id = call_id
        self._variables = variables

    async def run(self, arguments: Mapping[str, Any], *, key: str) -> ToolOutcome:
        """Send the request, and give what the server answers."""
        try:
            answer = await self._web.ask(self._request(checked(arguments, self._spec.parameters), key))
        except (UnfitError, AskFailedError) as error:
            return ToolOutcome(content=str(error), is_error=True)
        if not answer.is_success:
            content = f"HTTP {answer.status}: {answer.text[:_SHOWN_OF_A_FAILURE]}".rstrip(": ")
            return ToolOutcome(content=content, is_error=True)
        return _shown(answer, self._spec.config.get("response_path"))

    def _request(self, arguments: dict[str, Any], key: str) -> Asked:
        config = self._spec.config
        url, used = fill_path(config["url"], {**self._variables, **arguments})
        rest = {name: value for name, value in arguments.items() if name not in used}
        headers = {name: fill_header(name, text, self._variables) for name, text in config.get("headers", {}).items()}
        credential: dict[str, Any] = config.get("credential") or {}
        if credential:
            headers["Authorization"] = f"Bearer {credential['api_key']}"
        method = config["method"]
        in_query = method in _IN_QUERY
        return Asked(
            method=method,
            url=url,
            headers={**headers, IDEMPOTENCY_KEY: key, CALL_HEADER: self._call_id},
            query=rest if in_query else {},
            json=None if in_query else rest,
            secrets=secrets_of(headers),
            timeout_s=float(config.get("timeout_seconds", 10)),
            retries=int(config.get("max_retries", 1)),
        )


def _shown(answer: Answer, path: str | None) -> ToolOutcome:
    """Return what the model is given of an answer: the part at ``path`` (``data.items.0``), or all of it."""
    if not answer.text.strip():
        return ToolOutcome(content=f"Done (HTTP {answer.status}, no content).")
    if answer.kind and not answer.kind.startswith(_TEXTS) and not answer.kind.endswith(("+json", "+xml")):
        return ToolOutcome(content=f"Done (HTTP {answer.status}, content of type {answer.kind[:100]}).")
    if not path:
        return ToolOutcome(content=answer.text.strip())
    try:
        found = msgspec.json.decode(answer.text)
        for part in path.split("."):
            found = found[int(part)] if isinstance(found, list) else found[part]  # pyright: ignore[reportUnknownVariableType] - JSON
    except (msgspec.DecodeError, KeyError, IndexError, ValueError, TypeError):
        return ToolOutcome(content=f"The server's answer has nothing at {path}.", is_error=True)
    return ToolOutcome(content=found if isinstance(found, str) else msgspec.json.encode(found).decode())
