"""No secret in clear: not in the database, its log, our logs, or an answer that is not meant to show it."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oneinbox.api.accounts.service import create_sign_in_link
from tests.support.api import PROVIDER_KEY, SESSION_SECRET, TOKEN_SECRET, Api, running_api

SITE = "https://shop.example.com"
PASSWORD, WRONG_PASSWORD = "a password that is long", "a wrong password, also long"
VENDOR_KEY, CHANGED_VENDOR_KEY = "gsk_0123456789abcdefVENDOR", "gsk_0123456789abcdefCHANGED"
SIP_PASSWORD = "sip-trunk-password-0123456789"
_SHOWN_ONCE = ("key", "api_key", "access_token", "participant_token", "secret")


class Witness:
    """Sends requests, and remembers every secret that it sent or was shown."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.secrets = {api.key, api.other_key, TOKEN_SECRET, SESSION_SECRET, PROVIDER_KEY}
        self.secrets |= {PASSWORD, WRONG_PASSWORD, VENDOR_KEY, CHANGED_VENDOR_KEY, SIP_PASSWORD}
        self.sent = 0
        self.statuses: set[int] = set()

    async def ask(self, method: str, path: str, key: str, body: Any = None, **headers: str) -> Any:
        """Send one request and return its body."""
        self.sent += 1
        sent = {"Authorization": f"Bearer {key}", **headers}
        answer = await self.api.client.request(method, path, json=body, headers=sent)
        self.api.client.cookies.clear()
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
        api, key = self.api, self.api.key
        link = await create_sign_in_link(api.database)
        self.secrets.add(link.token)
        session = (await self.ask("POST", "/v1/auth/sign-in-link", "", {"token": link.token}))["access_token"]
        await self.ask("POST", "/v1/auth/sign-in-link", "", {"token": link.token})
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
        call = {"agent_id": api.first.demo_agent_id, "metadata": {"number": number}}
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
        hook = {"name": "x", "url": "https://hooks.example.com/x", "events": ["call.ended"]}
        await self.ask("POST", "/v1/webhooks", key, hook, **once)
        await self.ask("GET", "/v1/webhooks", key)
        trunk = {"trunk_address": "sip.example.com", "auth_username": "u", "auth_password": SIP_PASSWORD}
        number_body = {"phone_number": f"+1202555010{number}", "provider": "twilio", "provider_config": trunk}
        await self.ask("POST", "/v1/phone-numbers", key, {**number_body, "agent_id": api.first.demo_agent_id})
        for path in ("/v1/audit-events", "/v1/activity/summary", "/v1/usage", "/v1/api-keys", "/v1/nothing"):
            await self.ask("GET", path, session)
        await self.ask("DELETE", f"/v1/publishable-keys/{page['id']}", key)
        await self.ask("POST", "/v1/auth/logout", session)
        await self.ask("GET", "/v1/auth/me", session)
        self.secrets.add(once["Idempotency-Key"])


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("oneinbox.api.accounts.passwords._N", 2)  # nobody guesses these
    with caplog.at_level(logging.DEBUG):
        yield


def read_all(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_no_secret_is_kept_or_logged_in_clear(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running_api(tmp_path) as api:
        witness = Witness(api)
        for number in range(5):
            await witness.everything(number)
        assert witness.sent >= 200
        assert {200, 201, 204, 401, 403, 404, 409, 422} <= witness.statuses
        for kind in ("oi_sk_live_", "oi_pk_live_", "whsec_", "eyJ"):
            assert sum(secret.startswith(kind) for secret in witness.secrets) >= 5, kind
        logged = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
        assert len(logged) > 10_000
        files = read_all(tmp_path)
        assert len(files["oneinbox.db-wal"]) > 10_000
        stored = b"".join(files.values())
        assert api.first.org_id.encode() in stored  # we did look at the right files
        for secret in witness.secrets:
            assert secret.encode() not in stored, f"in the database: {secret[:14]}..."
            assert secret not in logged, f"in the log: {secret[:14]}..."
