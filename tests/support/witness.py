"""Sends requests of every kind and remembers each secret it sent or was shown, so that they can be looked for afterwards."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

SITE = "https://shop.example.com"
PASSWORD, WRONG_PASSWORD = "a password that is long", "a wrong password, also long"
VENDOR_KEY, CHANGED_VENDOR_KEY = "gsk_0123456789abcdefVENDOR", "gsk_0123456789abcdefCHANGED"
SIP_PASSWORD = "sip-trunk-password-0123456789"
_SHOWN_ONCE = ("key", "api_key", "access_token", "participant_token", "secret")


class Witness:
    """Sends requests, and remembers every secret that it sent or was shown. ``hook_url`` takes webhooks."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        make_link: Callable[[], Awaitable[str]],
        *,
        key: str,
        agent_id: str,
        hook_url: str = "https://hooks.example.com/x",
    ) -> None:
        self._client = client
        self._make_link = make_link
        self._key = key
        self._agent_id = agent_id
        self._hook_url = hook_url
        self.secrets = {key, PASSWORD, WRONG_PASSWORD, VENDOR_KEY, CHANGED_VENDOR_KEY, SIP_PASSWORD}
        self.sent = 0
        self.statuses: set[int] = set()

    async def ask(self, method: str, path: str, key: str, body: Any = None, **headers: str) -> Any:
        """Send one request and return its body."""
        self.sent += 1
        sent = {"Authorization": f"Bearer {key}", **headers} if key else headers
        answer = await self._client.request(method, path, json=body, headers=sent)
        self._client.cookies.clear()
        self.statuses.add(answer.status_code)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert not any(secret in answer.text for secret in self.secrets)
        shown = answer.json() if answer.content else {}
        if isinstance(shown, dict):
            self.secrets |= {shown[name] for name in _SHOWN_ONCE if name in shown}
        return shown

    async def everything(self, number: int) -> None:
        """Send about forty requests of every kind, good and bad."""
        key = self._key
        token = await self._make_link()
        self.secrets.add(token)
        session = (await self.ask("POST", "/v1/auth/sign-in-link", "", {"token": token}))["access_token"]
        await self.ask("POST", "/v1/auth/sign-in-link", "", {"token": token})
        person = {"email": f"ann{number}@example.com", "password": PASSWORD}
        await self.ask("POST", "/v1/auth/signup", "", person)
        await self.ask("POST", "/v1/auth/signup", "", person)
        await self.ask("POST", "/v1/auth/login", "", person)
        await self.ask("POST", "/v1/auth/login", "", {**person, "password": WRONG_PASSWORD})
        await self.ask("POST", "/v1/auth/login", "", {**person, "password": WRONG_PASSWORD, "extra": PASSWORD})
        await self.ask("POST", "/v1/auth/refresh", session)
        once = {"Idempotency-Key": f"idempotency-{number}-0123456789"}
        made = await self.ask("POST", "/v1/api-keys", session, {"name": "x"}, **once)
        assert (await self.ask("POST", "/v1/api-keys", session, {"name": "x"}, **once))["api_key"] == made["api_key"]
        await self.ask("POST", f"/v1/api-keys/{made['id']}/rotate", session)
        await self.ask("GET", "/v1/agents", made["api_key"])  # rotated away
        await self.ask("GET", "/v1/agents", key, Origin=SITE)
        await self.ask("GET", "/v1/agents", key[:-3] + "xyz")
        page = await self.ask("POST", "/v1/publishable-keys", key, {"name": "x", "allowed_origins": [SITE]})
        call = {"agent_id": self._agent_id, "metadata": {"number": number}}
        for origin in (SITE, "https://evil.example", "null"):
            await self.ask("POST", "/v1/web-calls/token", page["key"], call, Origin=origin)
        started = await self.ask("POST", "/v1/web-calls/token", page["key"], call, Origin=SITE, **once)
        await self.ask("POST", "/v1/web-calls/token", page["key"], call, Origin=SITE, **once)
        await self.ask("POST", "/v1/web-calls/token", key, call, Origin=SITE)
        await self.ask("GET", "/v1/calls", page["key"])
        await self.ask("GET", "/v1/calls", started["participant_token"])
        await self.ask("POST", "/v1/calls/web", key, call, **once)
        await self.ask("POST", "/v1/calls/web", key, {**call, "variables": 1, "metadata": {"key": key}})
        await self.ask("POST", f"/v1/calls/{started['id']}/stop", key)
        vendor = {"name": "x", "provider": "groq", "api_key": VENDOR_KEY}
        credential = await self.ask("POST", "/v1/integrations", key, vendor, **once)
        await self.ask("POST", "/v1/integrations", key, {**vendor, "provider": "nobody"})
        await self.ask("PATCH", f"/v1/integrations/{credential['id']}", key, {"api_key": CHANGED_VENDOR_KEY})
        await self.ask("GET", "/v1/integrations", key)
        hook = {"name": "x", "url": self._hook_url, "events": ["call.ended"]}
        made = await self.ask("POST", "/v1/webhooks", key, hook, **once)
        await self.ask("POST", f"/v1/webhooks/{made['id']}/rotate-secret", key)
        await self.ask("GET", "/v1/webhooks", key)
        trunk = {"trunk_address": "sip.example.com", "auth_username": "u", "auth_password": SIP_PASSWORD}
        number_body = {"phone_number": f"+1202555010{number}", "provider": "twilio", "provider_config": trunk}
        await self.ask("POST", "/v1/phone-numbers", key, {**number_body, "agent_id": self._agent_id})
        for path in ("/v1/audit-events", "/v1/activity/summary", "/v1/usage", "/v1/api-keys", "/v1/nothing"):
            await self.ask("GET", path, session)
        await self.ask("DELETE", f"/v1/publishable-keys/{page['id']}", key)
        await self.ask("POST", "/v1/auth/logout", session)
        await self.ask("GET", "/v1/auth/me", session)
        self.secrets.add(once["Idempotency-Key"])
