"""Call outcomes of the organisation's own, and phone numbers as records."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from tests.support.api import Api


async def test_outcomes_are_named_after_their_label(api: Api) -> None:
    made = await api.made("/v1/workspace/call-outcomes", label="Wants a Callback!")
    assert made["id"].startswith("cou_")
    assert (made["name"], made["label"], made["is_active"]) == ("wants_a_callback", "Wants a Callback!", True)
    again = await api.ask("POST", "/v1/workspace/call-outcomes", json={"label": "wants a callback"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "outcome_exists")
    path = f"/v1/workspace/call-outcomes/{made['id']}"
    changed = (await api.ask("PATCH", path, json={"is_active": False, "description": "Said so"})).json()
    assert (changed["is_active"], changed["description"], changed["name"]) == (False, "Said so", "wants_a_callback")
    assert (await api.ask("GET", "/v1/workspace/call-outcomes")).json()["items"] == [changed]
    foreign = await api.client.patch(path, headers=api.other_auth, json={"label": "mine"})
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (404, "outcome_not_found")
    theirs = await api.client.post(
        "/v1/workspace/call-outcomes", headers=api.other_auth, json={"label": "Wants a callback"}
    )
    assert theirs.status_code == 201


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "label"),
        ({"label": ""}, "label"),
        ({"label": "x" * 101}, "label"),
        ({"label": "a\nb"}, "label"),
        ({"label": "!!!"}, "name"),
        ({"label": "x", "name": "Capital"}, "name"),
        ({"label": "x", "name": "1st"}, "name"),
        ({"label": "x", "name": "n" * 41}, "name"),
        ({"label": "x", "description": "d" * 501}, "description"),
    ],
)
async def test_bad_outcomes(api: Api, body: dict[str, Any], param: str) -> None:
    answer = await api.ask("POST", "/v1/workspace/call-outcomes", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param), answer.text
    assert await api.count("call_outcomes") == 0


async def bring(api: Api, **more: Any) -> dict[str, Any]:
    agent = api.first.demo_agent_id
    return await api.made(
        "/v1/phone-numbers", **{"phone_number": "+4930123456", "provider": "twilio", "agent_id": agent, **more}
    )


async def test_a_number_is_brought_and_its_password_kept_sealed(api: Api) -> None:
    config = {"trunk_address": "x.pstn.twilio.com:5060", "auth_username": "u", "auth_password": "the-trunks-password"}
    made = await bring(api, provider_config=config, friendly_name="Berlin")
    assert made["id"].startswith("phn_")
    assert made["provider_config"] == {"trunk_address": "x.pstn.twilio.com:5060", "auth_username": "u"}
    assert (made["status"], made["inbound_routing"], made["inbound_trunk_id"]) == ("inactive", None, None)
    async with api.database.read() as rows:
        sealed = (await rows.execute(text("SELECT sealed_password FROM phone_numbers"))).scalar_one()
    assert "password" not in sealed
    twice = await api.ask(
        "POST",
        "/v1/phone-numbers",
        json={"phone_number": "+4930123456", "provider": "telnyx", "agent_id": api.first.demo_agent_id},
    )
    assert (twice.status_code, twice.json()["error"]["code"]) == (409, "phone_number_exists")
    path = f"/v1/phone-numbers/{made['id']}"
    assert (await api.ask("GET", path)).json() == made
    assert (await api.client.get(path, headers=api.other_auth)).status_code == 404
    assert (await api.ask("DELETE", path)).status_code == 204
    assert (await api.ask("GET", path)).json()["error"]["code"] == "phone_number_not_found"


async def test_routing_is_merged(api: Api) -> None:
    one, two = [(await api.made("/v1/agents", name=name))["id"] for name in "AB"]
    made = await bring(api, inbound_routing={"agent_id": one, "fallback": {"agent_id": two}, "voicemail_message": "Hi"})
    path = f"/v1/phone-numbers/{made['id']}"
    full = {"agent_id": one, "fallback": {"agent_id": two}, "voicemail_message": "Hi"}
    assert made["inbound_routing"] == full
    for patch, expected in (
        ({"friendly_name": "N"}, full),
        ({"inbound_routing": {"voicemail_message": "Later"}}, {**full, "voicemail_message": "Later"}),
        ({"inbound_routing": {"fallback": None}}, {"agent_id": one, "fallback": None, "voicemail_message": "Later"}),
        ({"inbound_routing": {"agent_id": two}}, {"agent_id": two, "fallback": None, "voicemail_message": "Later"}),
        ({"inbound_routing": None}, None),
    ):
        changed = (await api.ask("PATCH", path, json=patch)).json()
        assert changed["inbound_routing"] == expected, patch
    empty = (await api.ask("GET", f"{path}/inbound-routing")).json()
    assert empty == {"agent_id": None, "fallback": None, "voicemail_message": None}
    said = await api.ask("POST", f"{path}/inbound-routing", json={"agent_id": one})
    assert (said.status_code, said.json()["agent_id"]) == (201, one)
    assert (await api.ask("GET", path)).json()["inbound_routing"]["agent_id"] == one
    for method, where, body, param in (
        ("PATCH", path, {"inbound_routing": {"agent_id": "agt_nobody"}}, "inbound_routing.agent_id"),
        ("PATCH", path, {"inbound_routing": {"fallback": {"agent_id": "x"}}}, "inbound_routing.fallback.agent_id"),
        ("PATCH", path, {"agent_id": "agt_nobody"}, "agent_id"),
        ("POST", f"{path}/inbound-routing", {"agent_id": "agt_nobody"}, "agent_id"),
    ):
        refused = await api.ask(method, where, json=body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (422, param), refused.text


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"phone_number": "030123456"}, "phone_number"),
        ({"phone_number": "+0123"}, "phone_number"),
        ({"phone_number": "+1\u0661\u0662\u0663\u0664"}, "phone_number"),
        ({"phone_number": "+12345678901234567"}, "phone_number"),
        ({"provider": "vonage"}, "provider"),
        ({"agent_id": "agt_nobody"}, "agent_id"),
        ({"credential_id": "cred_nobody"}, "credential_id"),
        ({"provider_config": {"trunk_address": "127.0.0.1"}}, "provider_config.trunk_address"),
        ({"provider_config": {"trunk_address": "sip:a@b"}}, "provider_config.trunk_address"),
        ({"inbound_routing": {"agent_id": "agt_nobody"}}, "inbound_routing.agent_id"),
    ],
)
async def test_bad_numbers(api: Api, body: dict[str, Any], param: str) -> None:
    good = {"phone_number": "+4930123456", "provider": "twilio", "agent_id": api.first.demo_agent_id}
    answer = await api.ask("POST", "/v1/phone-numbers", json={**good, **body})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param), answer.text
    assert await api.count("phone_numbers") == 0


async def test_without_a_carrier_nothing_is_found_or_bought(api: Api) -> None:
    for method, path, body in (
        ("GET", "/v1/phone-numbers/search?country=DE", None),
        ("POST", "/v1/phone-numbers/purchase", {"country": "DE"}),
    ):
        answer = await api.ask(method, path, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "carrier_not_configured")


async def test_an_agent_that_answers_a_number_is_not_deleted(api: Api) -> None:
    own, routed, fallback, free = [(await api.made("/v1/agents", name=name))["id"] for name in "abcd"]
    number = await api.made(
        "/v1/phone-numbers",
        phone_number="+12025550199",
        provider="twilio",
        agent_id=own,
        inbound_routing={"agent_id": routed, "fallback": {"agent_id": fallback}},
    )
    for agent_id in (own, routed, fallback):
        refused = await api.ask("DELETE", f"/v1/agents/{agent_id}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "agent_in_use")
        assert "+12025550199" in refused.json()["error"]["message"]
    assert (await api.ask("DELETE", f"/v1/agents/{free}")).status_code == 204
    assert (await api.ask("DELETE", f"/v1/phone-numbers/{number['id']}")).status_code == 204
    for agent_id in (own, routed, fallback):
        assert (await api.ask("DELETE", f"/v1/agents/{agent_id}")).status_code == 204


async def test_a_number_never_names_an_agent_that_is_gone(api: Api) -> None:
    """Both at once, many times: one of the two is refused."""
    for number in range(10):
        agent_id = (await api.made("/v1/agents", name="x"))["id"]
        body = {"phone_number": f"+1202555{number:04}", "provider": "twilio", "agent_id": agent_id}
        kept, deleted = await asyncio.gather(
            api.ask("POST", "/v1/phone-numbers", json=body), api.ask("DELETE", f"/v1/agents/{agent_id}")
        )
        assert (kept.status_code, deleted.status_code) in {(201, 409), (422, 204)}
