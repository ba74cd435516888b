"""Tools: seven types, each checked by its own rules, and as a call has them."""

from typing import Any

import pytest

from tests.support.api import Api

API_CALL: dict[str, Any] = {
    "type": "api_call",
    "name": "Look up an order!",
    "description": "When the caller asks where an order is",
    "url": "https://api.example.com/orders/{{number}}",
    "method": "POST",
    "headers": {"X-Key": "a-secret-of-the-shop", "X-Tenant": "{{tenant}}"},
    "parameters": [
        {"name": "number", "type": "string", "description": "The order's number", "required": True},
        {"name": "speed", "type": "string", "description": "How fast", "enum": ["slow", "fast"]},
        {"name": "tags", "type": "array", "description": "Any tags"},
    ],
}
MESSAGE = {"to": "caller", "body_template": "Hi {{first_name}}, {greeting}"}
OTHERS: dict[str, dict[str, Any]] = {
    "transfer_call": {"transfer_to": "+4930123456"},
    "end_call": {},
    "send_sms": {"messaging_config": MESSAGE},
    "send_email": {"messaging_config": {**MESSAGE, "to": "a@example.com", "subject_template": "About {{topic}}"}},
    "schedule_calendar_event": {"calendar_config": {"calendar_id": "c", "timezone": "Europe/Berlin"}},
    "extract_information": {
        "extraction_schema": {"fields": [{"name": "budget", "type": "number", "description": "In euros"}]}
    },
}


def tool(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": kind, "description": "When it fits", **OTHERS[kind], **more}


async def test_every_type_is_kept_and_given_back(api: Api) -> None:
    made = await api.made("/v1/tools", **API_CALL)
    assert made["id"].startswith("tool_")
    assert made["headers"] == {"X-Key": "****", "X-Tenant": "{{tenant}}"}
    assert (made["run_in_background"], made["speak_during_execution"], made["transfer_to"]) == (False, False, None)
    for kind, parts in OTHERS.items():
        other = await api.made("/v1/tools", **tool(kind, run_in_background=True))
        assert (other["type"], other["run_in_background"], other["url"]) == (kind, True, None)
        for name, value in parts.items():
            assert (
                value.items() <= other[name].items() if isinstance(value, dict) and kind != "extract_information" else 1
            )
        assert (await api.ask("GET", f"/v1/tools/{other['id']}")).json() == other
    page = (await api.ask("GET", "/v1/tools?limit=100")).json()
    assert page["total"] == 1 + len(OTHERS)
    assert page["items"][-1] == made


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"type": "dance", "name": "x", "description": "d"}, None),
        ({"name": "x", "description": "d"}, None),
        ({**API_CALL, "description": ""}, "description"),
        ({**API_CALL, "name": ""}, "name"),
        ({**API_CALL, "method": "TRACE"}, "method"),
        ({**API_CALL, "transfer_to": "+4930123456"}, "transfer_to"),
        ({**API_CALL, "url": "http://169.254.169.254/latest"}, "url"),
        ({**API_CALL, "url": "http://{{host}}/"}, "url"),
        ({**API_CALL, "url": "http://2130706433/"}, "url"),
        ({**API_CALL, "url": "ftp://example.com/"}, "url"),
        ({**API_CALL, "url": "http://user:pass@example.com/"}, "url"),
        ({**API_CALL, "headers": {"Host": "evil.example"}}, "headers"),
        ({**API_CALL, "headers": {"Content-Length": "1"}}, "headers"),
        ({**API_CALL, "headers": {"A b": "1"}}, "headers"),
        ({**API_CALL, "headers": {"A": "1\r\nB: 2"}}, "headers"),
        ({**API_CALL, "headers": {"A": "1", "a": "2"}}, "headers"),
        ({**API_CALL, "headers": {"A": "****"}}, "headers.A"),
        ({**API_CALL, "parameters": [{"name": "a b", "type": "string", "description": "d"}]}, "parameters.0.name"),
        ({**API_CALL, "parameters": [{"name": "a", "type": "date", "description": "d"}]}, "parameters.0.type"),
        ({**API_CALL, "parameters": [{"name": "a", "type": "number", "description": "d"}] * 2}, "parameters"),
        (
            {**API_CALL, "parameters": [{"name": "a", "type": "number", "description": "d", "enum": ["1"]}]},
            "parameters",
        ),
        (tool("transfer_call", transfer_to="030123456"), "transfer_to"),
        (tool("transfer_call", transfer_to="+0123"), "transfer_to"),
        (tool("send_sms", messaging_config={"to": "nobody", "body_template": "x"}), "messaging_config.to"),
        (tool("send_sms", messaging_config={"to": "caller"}), "messaging_config.body_template"),
        (tool("send_sms", credential_id="cred_1"), "credential_id"),
        (tool("send_email", credential_id="cred_1"), "credential_id"),
        (
            tool("schedule_calendar_event", calendar_config={"calendar_id": "c", "timezone": "Mars/Olympus"}),
            "calendar_config.timezone",
        ),
        (
            tool("schedule_calendar_event", calendar_config={"calendar_id": "c", "timezone": "../../etc/passwd"}),
            "calendar_config.timezone",
        ),
        (
            tool("schedule_calendar_event", calendar_config={"calendar_id": "c", "duration_minutes": 1}),
            "calendar_config.duration_minutes",
        ),
        (tool("extract_information", extraction_schema={"fields": []}), "extraction_schema.fields"),
    ],
)
async def test_a_tool_that_does_not_fit_its_type_is_refused(api: Api, body: dict[str, Any], param: str | None) -> None:
    answer = await api.ask("POST", "/v1/tools", json=body)
    assert answer.status_code == 422, answer.text
    assert param is None or (answer.json()["error"]["param"] or "").endswith(param), answer.text
    assert await api.count("tools") == 0


async def test_a_change_has_to_fit_and_keeps_masked_headers(api: Api) -> None:
    made = await api.made("/v1/tools", **API_CALL)
    path = f"/v1/tools/{made['id']}"
    patch = {"headers": {**made["headers"], "X-New": "n"}, "method": "GET", "name": "Other"}
    changed = (await api.ask("PATCH", path, json=patch)).json()
    assert changed["headers"] == {"X-Key": "****", "X-Tenant": "{{tenant}}", "X-New": "****"}
    assert (changed["method"], changed["name"], changed["url"]) == ("GET", "Other", made["url"])
    for body, param in (
        ({"transfer_to": "+4930123456"}, "transfer_to"),
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"type": "end_call"}, "type"),
        ({"headers": {"Unknown": "****"}}, "headers.Unknown"),
        ({"name": None}, "name"),
    ):
        refused = await api.ask("PATCH", path, json=body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (422, param), refused.text
    assert (await api.ask("GET", path)).json() == changed
    model = await api.made("/v1/models", name="M", tool_ids=[made["id"]])
    agent = await api.made("/v1/agents", name="A", llm_id=model["id"])
    await api.made("/v1/calls/web", agent_id=agent["id"])
    (spec,) = api.dispatcher.started[-1].tools
    assert spec.config["headers"] == {"X-Key": "a-secret-of-the-shop", "X-Tenant": "{{tenant}}", "X-New": "n"}


async def test_a_call_has_its_models_tools_as_functions(api: Api) -> None:
    first = await api.made("/v1/tools", **API_CALL)
    second = await api.made("/v1/tools", **{**API_CALL, "name": "Look up, an order?"})
    rest = [await api.made("/v1/tools", **tool(kind)) for kind in OTHERS]
    ids = [first["id"], second["id"], *(one["id"] for one in rest)]
    model = await api.made("/v1/models", name="M", tool_ids=ids)
    agent = await api.made("/v1/agents", name="A", llm_id=model["id"])
    await api.made("/v1/calls/web", agent_id=agent["id"])
    specs = {spec.name: spec for spec in api.dispatcher.started[-1].tools}
    assert list(specs)[:2] == ["Look_up_an_order", "Look_up_an_order_2"]
    assert specs["Look_up_an_order"].parameters == {
        "type": "object",
        "properties": {
            "number": {"type": "string", "description": "The order's number"},
            "speed": {"type": "string", "description": "How fast", "enum": ["slow", "fast"]},
            "tags": {"type": "array", "description": "Any tags", "items": {"type": "string"}},
        },
        "required": ["number"],
        "additionalProperties": False,
    }
    assert specs["end_call"].type == "end_call"
    assert specs["end_call"].parameters["properties"] == {}
    assert specs["send_sms"].parameters["required"] == ["first_name", "greeting"]
    assert specs["send_email"].parameters["required"] == ["topic", "first_name", "greeting"]
    assert specs["schedule_calendar_event"].parameters["required"] == ["start", "name", "email"]
    assert specs["extract_information"].parameters["properties"]["budget"]["type"] == "number"


async def test_a_tool_in_use_stays_and_foreign_tools_are_not_there(api: Api) -> None:
    made = await api.made("/v1/tools", **tool("end_call"))
    model = await api.made("/v1/models", name="M", tool_ids=[made["id"]])
    in_use = await api.ask("DELETE", f"/v1/tools/{made['id']}")
    assert (in_use.status_code, in_use.json()["error"]["code"]) == (409, "tool_in_use")
    assert model["id"] in in_use.text
    foreign = await api.client.post("/v1/models", headers=api.other_auth, json={"name": "x", "tool_ids": [made["id"]]})
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (422, "tool_not_found")
    assert foreign.json()["error"]["param"] == "tool_ids.0"
    for method in ("GET", "PATCH", "DELETE"):
        body = {"name": "mine"} if method == "PATCH" else None
        answer = await api.client.request(method, f"/v1/tools/{made['id']}", headers=api.other_auth, json=body)
        assert answer.status_code == 404
    await api.ask("PATCH", f"/v1/models/{model['id']}", json={"tool_ids": []})
    assert (await api.ask("DELETE", f"/v1/tools/{made['id']}")).status_code == 204
