"""``docs/reference/tools.md`` says what the model is told, and what is tried again, as it happens."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from oneinbox.core.spec import ToolSpec
from oneinbox.live.tools.api_call import ApiCall
from oneinbox.live.tools.asking import MAX_ANSWER_BYTES
from tests.support.tool_servers import Answers, Servers
from tests.support.virtual_time import run_virtually

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "tools.md").read_text(encoding="utf-8")
SCHEMA = {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]}
REFUSED = httpx.ConnectError("no")
BROKEN = httpx.ReadError("no")


def answered(status: int, text: str = "no such order") -> Answers:
    return lambda _: httpx.Response(status, text=text)


def broken(error: Exception) -> Answers:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    return answer


def use(servers: Servers, method: str = "GET", *, order: Any = 7, **config: Any) -> str:
    given: dict[str, Any] = {
        "url": "https://shop.example.com/orders",
        "method": method,
        "headers": {},
        "max_retries": 1,
        **config,
    }
    spec = ToolSpec(name="look_up", type="api_call", description="d", parameters=SCHEMA, config=given)
    tool = ApiCall(spec, servers.web(), call_id="call_1", variables={})
    return run_virtually(lambda: tool.run({"order": order}, key="call_1-tc_1")).content


@pytest.mark.parametrize(
    ("servers", "config"),
    [
        (Servers(), {"order": None}),
        (Servers(), {"order": "many"}),
        (Servers(), {"url": "https://shop.example.com/{{place}}"}),
        (Servers(broken(REFUSED)), {}),
        (Servers(broken(BROKEN)), {}),
        (Servers(answered(200, "x" * (MAX_ANSWER_BYTES + 1))), {}),
        (Servers(answered(200, "{}")), {"response_path": "data.order"}),
    ],
)
def test_what_the_model_is_told_stands_on_the_page(servers: Servers, config: dict[str, Any]) -> None:
    assert use(servers, **config) in PAGE


def test_other_failures_are_told_as_on_the_page() -> None:
    assert use(Servers(answered(404))) == "HTTP 404: no such order"
    assert "| HTTP 404: and the first 2,000 characters of the answer |" in PAGE
    told = use(Servers(answered(404, "x" * 3_000)))
    assert told.count("x") == 2_000
    assert use(Servers(addresses=["10.0.0.1"])).startswith("The server may not be asked: ")
    assert "| The server may not be asked: ... |" in PAGE


def retries() -> list[tuple[str, str, bool]]:
    """Return the table of retries: what happened, the method, whether it is tried again."""
    lines = PAGE.partition("| what happened | GET, PUT, DELETE | POST, PATCH |\n")[2].partition("\n\n")[0].splitlines()
    found: list[tuple[str, str, bool]] = []
    for line in lines[1:]:
        what, safe, other = (cell.strip() for cell in line.split("|")[1:-1])
        found += [(what, method, safe == "again") for method in ("GET", "PUT", "DELETE")]
        found += [(what, method, other == "again") for method in ("POST", "PATCH")]
    return found


def happenings(what: str) -> list[Answers]:
    match what:
        case "not reached: nothing was sent":
            return [broken(REFUSED)]
        case "broken off after sending":
            return [broken(BROKEN), broken(httpx.RemoteProtocolError("no"))]
        case "any other status":
            return [answered(status) for status in (200, 201, 301, 400, 404, 409, 501)]
        case _:
            return [answered(int(status)) for status in what.split(", ")]


@pytest.mark.parametrize(("what", "method", "again"), retries())
def test_what_is_tried_again_is_as_in_the_table(what: str, method: str, again: bool) -> None:
    for answer in happenings(what):
        servers = Servers(answer)
        use(servers, method)
        assert len(servers.requests) == (2 if again else 1)
        assert {request.headers["idempotency-key"] for request in servers.requests} == {"call_1-tc_1"}


def test_the_table_of_retries_is_whole() -> None:
    assert len(retries()) == 5 * 5
