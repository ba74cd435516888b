"""Every operation that changes something is on the audit log, under a name of its own."""

import re
from typing import Any

from sqlalchemy import text

from oneinbox.core.errors import ErrorKind
from oneinbox.core.events import CallActive, EndReason
from tests.support.api import Api, refused

SITE = "https://shop.example.com"
HOOK = {"name": "x", "url": "https://hooks.example", "events": ["call.ended"]}
TOOL = {"type": "end_call", "name": "Hang up", "description": "When all is said"}
VENDOR = {"name": "x", "provider": "openai", "api_key": "sk-0123456789"}
CHANGES_NOTHING = {
    ("POST", "/v1/phone-numbers/purchase"),  # no carrier: it is always refused
    ("POST", "/v1/auth/sign-in-link"),  # signed in below, through the sign-in helper
    ("POST", "/v1/web-calls/token"),  # asked below with its own kind of key
    ("POST", "/v1/web-calls/connection-test"),  # there is no call, and nothing on record
    ("POST", "/v1/calls/web/connection-test"),
}


class Walk:
    """Sends changes, and notes which operation put which action on the log."""

    def __init__(self, api: Api, session: str) -> None:
        self.api = api
        self.session = session
        self.actions: dict[tuple[str, str], str] = {}

    async def do(self, method: str, path: str, body: Any = None, **ids: str) -> Any:
        """Send one change; ``path`` is the operation's, ``ids`` fill it."""
        before = await self.newest()
        headers = {"Authorization": f"Bearer {self.session}"}
        sent: dict[str, Any] = {"files": body} if "/sources" in path and body else {"json": body}
        answer = await self.api.client.request(method, path.format(**ids), headers=headers, **sent)
        self.api.client.cookies.clear()
        assert answer.status_code < 300, (method, path, answer.text)
        after = await self.newest()
        assert after[0] > before[0], f"{method} {path} is not on the audit log"
        self.actions[method, path] = after[1]
        return answer.json() if answer.content else {}

    async def crud(self, path: str, slot: str, body: Any, patch: Any, *, keep: bool = False) -> str:
        """Make, change and (unless it is kept) delete a thing; returns its id."""
        made = (await self.do("POST", path, body))["id"]
        if patch is not None:
            await self.do("PATCH", f"{path}/{{{slot}}}", patch, **{slot: made})
        if not keep:
            await self.do("DELETE", f"{path}/{{{slot}}}", **{slot: made})
        return made

    async def newest(self) -> tuple[int, str]:
        async with self.api.database.read() as rows:
            query = "SELECT seq, action FROM audit_events WHERE org_id = :org ORDER BY seq DESC LIMIT 1"
            found = (await rows.execute(text(query), {"org": self.api.first.org_id})).one()
        return found[0], found[1]


async def test_every_change_is_on_the_log(api: Api) -> None:
    walk = Walk(api, await api.sign_in())
    name = {"name": "y"}
    agent_id = await walk.crud("/v1/agents", "agent_id", {"name": "x"}, name, keep=True)
    await walk.crud("/v1/models", "model_id", {"name": "x"}, name)
    await walk.crud("/v1/tools", "tool_id", TOOL, name)
    await walk.crud("/v1/publishable-keys", "key_id", {"name": "x", "allowed_origins": [SITE]}, name)
    await walk.crud("/v1/credentials", "credential_id", VENDOR, name)
    credential = await walk.crud("/v1/integrations", "credential_id", VENDOR, name, keep=True)
    voice = {"provider": "openai", "provider_voice_id": "v", "name": "V", "credential_id": credential}
    made = await walk.do("POST", "/v1/voices/import", voice)
    await walk.do("DELETE", "/v1/voices/{voice_id}", voice_id=made["id"])
    await walk.do("DELETE", "/v1/integrations/{credential_id}", credential_id=credential)
    await secret_keys_and_accounts(walk)
    await knowledge(walk)
    await webhooks(walk)
    outcome = (await walk.do("POST", "/v1/workspace/call-outcomes", {"label": "Sold"}))["id"]
    await walk.do("PATCH", "/v1/workspace/call-outcomes/{outcome_id}", {"label": "S"}, outcome_id=outcome)
    number = {"phone_number": "+4930123456", "provider": "twilio", "agent_id": agent_id}
    number_id = await walk.crud("/v1/phone-numbers", "number_id", number, {"friendly_name": "y"}, keep=True)
    routing = "/v1/phone-numbers/{number_id}/inbound-routing"
    await walk.do("POST", routing, {"agent_id": agent_id}, number_id=number_id)
    await walk.do("DELETE", "/v1/phone-numbers/{number_id}", number_id=number_id)
    await calls(walk, agent_id)
    await walk.do("DELETE", "/v1/agents/{agent_id}", agent_id=agent_id)
    await walk.do("POST", "/v1/auth/logout")
    assert set(walk.actions) == await changes(api) - CHANGES_NOTHING
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", action) for action in walk.actions.values())
    assert walk.actions["DELETE", "/v1/agents/{agent_id}"] == "agent.deleted"
    assert walk.actions["POST", "/v1/auth/logout"] == "account.signed_out"


async def changes(api: Api) -> set[tuple[str, str]]:
    paths = (await api.client.get("/openapi.json")).json()["paths"]
    found = {(method.upper(), path) for path, methods in paths.items() for method in methods if method != "get"}
    return found - {("POST", "/v1/auth/signup"), ("POST", "/v1/auth/login")}  # in test_accounts: another organisation's


async def secret_keys_and_accounts(walk: Walk) -> None:
    key = await walk.crud("/v1/api-keys", "key_id", {"name": "x"}, {"name": "y"}, keep=True)
    await walk.do("POST", "/v1/api-keys/{key_id}/rotate", key_id=key)
    await walk.do("DELETE", "/v1/api-keys/{key_id}", key_id=key)
    await walk.do("PATCH", "/v1/workspace", {"name": "y"})
    await walk.do("POST", "/v1/auth/refresh")


async def knowledge(walk: Walk) -> None:
    form = {"file": ("hours.txt", b"9 to 5", "text/plain")}
    await walk.do("POST", "/v1/knowledge-bases/sources", form)
    base = await walk.crud("/v1/knowledge-bases", "kb_id", {"name": "x"}, {"name": "y"}, keep=True)
    await walk.do("POST", "/v1/knowledge-bases/{kb_id}/sources", form, kb_id=base)
    source_id = (await walk.api.ask("GET", f"/v1/knowledge-bases/{base}/sources")).json()[0]["id"]
    await walk.do("DELETE", "/v1/knowledge-bases/{kb_id}/sources/{source_id}", kb_id=base, source_id=source_id)
    await walk.do("DELETE", "/v1/knowledge-bases/{kb_id}", kb_id=base)


async def webhooks(walk: Walk) -> None:
    hook = await walk.crud("/v1/webhooks", "webhook_id", HOOK, {"name": "y"}, keep=True)
    async with walk.api.database.write() as rows:  # nowhere that a request could go
        await rows.execute(text("UPDATE webhooks SET url = 'http://10.0.0.1/'"))
    await walk.do("POST", "/v1/webhooks/{webhook_id}/rotate-secret", webhook_id=hook)
    tried = await walk.do("POST", "/v1/webhooks/{webhook_id}/test", webhook_id=hook)
    redeliver = "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver"
    await walk.do("POST", redeliver, webhook_id=hook, delivery_id=tried["id"])
    await walk.do("DELETE", "/v1/webhooks/{webhook_id}", webhook_id=hook)


async def calls(walk: Walk, agent_id: str) -> None:
    api = walk.api
    call = (await walk.do("POST", "/v1/calls/web", {"agent_id": agent_id}))["id"]
    await walk.do("PATCH", "/v1/calls/{call_id}", {"outcome": "interested"}, call_id=call)
    await api.recorder.record(CallActive(call_id=call, answer_ms=1))
    for way in ("say", "context", "message"):
        await walk.do("POST", f"/v1/calls/{{call_id}}/{way}", {"text": "x"}, call_id=call)
    await walk.do("POST", "/v1/calls/{call_id}/stop", call_id=call)
    await api.recorder.fail_calls([call], EndReason.API_STOP)
    await walk.do("DELETE", "/v1/calls/{call_id}", call_id=call)
    key = await api.made("/v1/publishable-keys", name="x", allowed_origins=[SITE])
    headers = {"Authorization": f"Bearer {key['key']}", "Origin": SITE}
    for refusal, action in ((None, "call.created"), (refused(ErrorKind.UNAVAILABLE, "server_full"), "call.refused")):
        api.dispatcher.refusal = refusal
        await api.client.post("/v1/web-calls/token", headers=headers, json={"agent_id": agent_id})
        assert (await walk.newest())[1] == action
    api.dispatcher.refusal = None
