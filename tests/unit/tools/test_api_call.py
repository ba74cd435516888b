"""``api_call``: what is asked of the account's server, and what the model is told of the answer."""

from typing import Any

import httpx
import pytest

from oneinbox.core.spec import ToolSpec
from oneinbox.live.engine.ports import ToolOutcome
from oneinbox.live.tools.api_call import ApiCall
from oneinbox.live.tools.asking import MAX_ANSWER_BYTES
from tests.support.tool_servers import Servers, one_after_the_other
from tests.support.virtual_time import run_virtually

SCHEMA = {
    "type": "object",
    "properties": {
        "number": {"type": "string", "description": ""},
        "count": {"type": "integer", "description": ""},
        "tags": {"type": "array", "items": {"type": "string"}},
        "speed": {"type": "string", "enum": ["slow", "fast"]},
    },
    "required": ["number"],
}
URL = "https://shop.example.com/orders/{{number}}?lang=en"


def api_call(servers: Servers, *, variables: dict[str, Any] | None = None, allowed: str = "", **config: Any) -> ApiCall:
    given = {"url": URL, "method": "GET", "headers": {}, **config}
    spec = ToolSpec(name="look_up", type="api_call", description="d", parameters=SCHEMA, config=given)
    web = servers.web(*filter(None, [allowed]))
    return ApiCall(spec, web, call_id="call_1", variables=variables or {})


def run(tool: ApiCall, **arguments: Any) -> ToolOutcome:
    return run_virtually(lambda: tool.run(arguments, key="call_1-tc_1"))


def test_a_get_carries_its_arguments_in_path_and_query() -> None:
    servers = Servers()
    outcome = run(api_call(servers), number="A/7 ?&", count=3, tags=["a", "b"])
    assert outcome == ToolOutcome(content='{"ok":true}')
    request = servers.last
    assert request.method == "GET"
    assert request.url.raw_path == b"/orders/A%2F7%20%3F%26?lang=en&count=3&tags=a&tags=b"
    assert request.headers["host"] == "shop.example.com"
    assert request.headers["idempotency-key"] == "call_1-tc_1"
    assert request.headers["x-oneinbox-call-id"] == "call_1"
    assert request.content == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_other_methods_carry_json(method: str) -> None:
    servers = Servers()
    run(api_call(servers, method=method), number="7", count=3)
    assert (servers.last.method, servers.body()) == (method, {"count": 3})
    assert servers.last.headers["content-type"] == "application/json"


@pytest.mark.parametrize("value", ["..", ".", "", "  ", "..."])
def test_no_value_leads_to_another_path(value: str) -> None:
    servers = Servers()
    assert run(api_call(servers), number=value).is_error
    assert servers.requests == []


def test_headers_are_filled_with_variables_and_never_with_what_the_model_says() -> None:
    servers = Servers()
    headers = {"X-Tenant": "{{ tenant }}", "X-Number": "{{number}}", "X-Key": "very-secret"}
    run(api_call(servers, headers=headers, variables={"tenant": "acme"}), number="7")
    assert servers.last.headers["x-tenant"] == "acme"
    assert servers.last.headers["x-number"] == ""
    assert servers.last.headers["x-key"] == "very-secret"


def test_a_variable_cannot_begin_another_header() -> None:
    servers = Servers()
    hostile = {"tenant": "a\r\nX-Admin: yes"}
    outcome = run(api_call(servers, headers={"X-Tenant": "{{tenant}}"}, variables=hostile), number="7")
    assert outcome.is_error
    assert servers.requests == []


def test_a_credential_is_sent_as_a_bearer_and_never_told() -> None:
    servers = Servers(lambda request: httpx.Response(500, text=f"bad: {request.headers['authorization']}"))
    outcome = run(api_call(servers, credential={"api_key": "sk-own", "provider": "custom"}, max_retries=0), number="7")
    assert servers.last.headers["authorization"] == "Bearer sk-own"
    assert outcome == ToolOutcome(content="HTTP 500: bad: ****", is_error=True)


def test_secrets_that_a_server_repeats_are_masked() -> None:
    servers = Servers(lambda request: httpx.Response(200, text=f"you sent {request.headers['x-key']}"))
    assert run(api_call(servers, headers={"X-Key": "Token very-secret"}), number="7").content == "you sent ****"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "Missing: number"),
        ({"number": None}, "Missing: number"),
        ({"number": "7", "count": "many"}, "count has to be of type integer"),
        ({"number": "7", "count": True}, "count has to be of type integer"),
        ({"number": "7", "speed": "medium"}, "speed has to be one of: slow, fast"),
        ({"number": "x" * 30_000}, "longer than"),
    ],
)
def test_wrong_arguments_are_told_to_the_model(arguments: dict[str, Any], told: str) -> None:
    servers = Servers()
    outcome = run(api_call(servers), **arguments)
    assert outcome.is_error
    assert told in outcome.content
    assert servers.requests == []


def test_types_that_can_be_read_in_one_way_are() -> None:
    servers = Servers()
    run(api_call(servers, method="POST"), number=7, count="3", tags='["a"]', unknown="dropped")
    assert servers.last.url.path == "/orders/7"
    assert servers.body() == {"count": 3, "tags": ["a"]}


# ---- the answer ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "told", "is_error"),
    [
        ("order.lines.1.name", "Tea", False),
        ("order.lines.0", '{"name":"Bread","price":3}', False),
        ("order.lines.9", "The server's answer has nothing at order.lines.9.", True),
        ("order.missing", "The server's answer has nothing at order.missing.", True),
    ],
)
def test_the_part_at_the_path_is_told(path: str, told: str, is_error: bool) -> None:
    order = {"order": {"lines": [{"name": "Bread", "price": 3}, {"name": "Tea"}]}}
    servers = Servers(lambda _: httpx.Response(200, json=order))
    assert run(api_call(servers, response_path=path), number="7") == ToolOutcome(content=told, is_error=is_error)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (httpx.Response(204), "Done (HTTP 204, no content)."),
        (
            httpx.Response(200, content=b"\x89PNG", headers={"content-type": "image/png"}),
            "Done (HTTP 200, content of type image/png).",
        ),
        (httpx.Response(200, text="plain words"), "plain words"),
        (httpx.Response(404, text="no such order"), "HTTP 404: no such order"),
        (httpx.Response(302, headers={"location": "http://169.254.169.254/"}), "HTTP 302"),
        (httpx.Response(200, content=b"x" * (MAX_ANSWER_BYTES + 1)), "The server's answer is longer than 1024 KiB."),
    ],
)
def test_what_the_model_is_told(answer: httpx.Response, told: str) -> None:
    assert run(api_call(Servers(lambda _: answer)), number="7").content == told


# ---- trying again -------------------------------------------------------------------------------------------------

BROKEN = httpx.ReadError("broken")
REFUSED = httpx.ConnectError("refused")


@pytest.mark.parametrize(
    ("method", "first", "tries"),
    [
        ("POST", REFUSED, 2),  # nothing was sent
        ("POST", httpx.Response(503), 2),  # the server says that it has not begun
        ("POST", httpx.Response(429), 2),
        ("POST", BROKEN, 1),  # it may have happened
        ("POST", httpx.Response(500), 1),
        ("PATCH", BROKEN, 1),
        ("GET", BROKEN, 2),
        ("PUT", httpx.Response(502), 2),
        ("DELETE", BROKEN, 2),
        ("GET", httpx.Response(404), 1),
    ],
)
def test_only_what_cannot_have_happened_twice_is_tried_again(
    method: str, first: httpx.Response | Exception, tries: int
) -> None:
    servers = Servers(one_after_the_other(first, httpx.Response(200, text="fine")))
    outcome = run(api_call(servers, method=method), number="7")
    assert len(servers.requests) == tries
    assert outcome.is_error == (tries == 1)
    assert len({request.headers["idempotency-key"] for request in servers.requests}) == 1


def test_retries_are_as_many_as_the_tool_says() -> None:
    servers = Servers(lambda _: httpx.Response(503, text="busy"))
    assert run(api_call(servers, max_retries=3), number="7").content == "HTTP 503: busy"
    assert len(servers.requests) == 4


# ---- where it may go ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.8", "169.254.169.254", "::1", "fd00::1"])
def test_private_addresses_are_refused_unless_the_operator_allows_them(address: str) -> None:
    servers = Servers(addresses=[address])
    outcome = run(api_call(servers), number="7")
    assert outcome.is_error
    assert "not on the public internet" in outcome.content
    assert address not in outcome.content
    assert servers.requests == []
    network = f"{address}/128" if ":" in address else f"{address}/32"
    assert not run(api_call(servers, allowed=network), number="7").is_error
