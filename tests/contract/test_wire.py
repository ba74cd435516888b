"""The wire itself: error bodies, request ids, hostile bodies, the catalogue of error codes."""

import ast
import json
import re
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import oneinbox
from oneinbox.api.http import errors
from tests.support.api import Api

ROOT = Path(oneinbox.__file__).parent
CATALOGUE = ROOT.parent / "docs" / "reference" / "errors.md"


async def test_every_error_has_the_same_body(api: Api) -> None:
    cases: list[tuple[str, str, int, str]] = [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("PUT", "/v1/agents", 405, "method_not_allowed"),
        ("GET", "/v1/agents/", 404, "not_found"),
        ("GET", "/v1/agents/agt_nobody", 404, "agent_not_found"),
        ("GET", "/v1/agents?limit=0", 422, "validation_error"),
        ("GET", "/v1/calls/%00", 404, "call_not_found"),
        ("GET", "/v1/calls/" + "x" * 5000, 404, "call_not_found"),
        ("GET", "/v1/calls/%ff%fe", 404, "call_not_found"),
        ("GET", "/v1/calls/%F0%9F%98%80", 404, "call_not_found"),
    ]
    for method, path, status, code in cases:
        answer = await api.ask(method, path)
        assert answer.status_code == status, (path, answer.text)
        body = answer.json()
        assert set(body) == {"error", "detail"}
        assert set(body["error"]) == {"code", "message", "param", "request_id"}
        assert body["error"]["code"] == code
        assert body["error"]["request_id"] == answer.headers["x-request-id"]
        assert len(answer.text) < 2000


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/agents", "GET, POST"),
        ("OPTIONS", "/v1/agents/agt_1", "DELETE, GET, PATCH"),
        ("TRACE", "/v1/knowledge-bases/kb_1/sources", "GET, POST"),
        ("DELETE", "/v1/auth/login", "POST"),
        ("PUT", "/v1/calls/web", "POST"),  # not a call with this id
        ("PUT", "/v1/phone-numbers/search", "GET"),
    ],
)
async def test_a_wrong_method_is_told_every_right_one(api: Api, method: str, path: str, allowed: str) -> None:
    answer = await api.ask(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"type": "api"}, "type", "'api_call', 'transfer_call'"),
        ({}, "type", "required"),
        ({"type": "end_call"}, "name", "required"),
        (
            {"type": "api_call", "name": "x", "description": "x", "url": "https://a.example", "method": "GET"}
            | {"parameters": [{"name": "order", "type": "string"}]},
            "parameters.0.description",
            "required",
        ),
        (
            {"type": "send_email", "name": "x", "description": "x", "messaging_config": {"to": 1}},
            *("messaging_config.to", ""),
        ),
    ],
)
async def test_a_fault_is_where_it_was_sent(api: Api, body: dict[str, Any], param: str, said: str) -> None:
    """What kind of tool the body was taken for stands nowhere in it, so it is no part of the place."""
    answer = await api.ask("POST", "/v1/tools", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (422, param), error
    assert said in error["message"]
    assert answer.json()["detail"][0]["loc"] == ["body", *(int(p) if p.isdigit() else p for p in param.split("."))]


@pytest.mark.parametrize("at", [0, 1_700_000_000, 1.5, True, "1700000000", "2026-01-31", "2026-01-31T09:30:00", []])
async def test_a_number_is_no_date(api: Api, at: Any) -> None:
    """Nobody could tell seconds from milliseconds."""
    key = await api.made("/v1/publishable-keys", name="x", allowed_origins=["*"])
    for method, path in (("POST", "/v1/publishable-keys"), ("PATCH", f"/v1/publishable-keys/{key['id']}")):
        answer = await api.ask(method, path, json={"name": "x", "allowed_origins": ["*"], "expires_at": at})
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "expires_at"), answer.text


async def test_a_body_that_does_not_fit_keeps_fastapis_list(api: Api) -> None:
    answer = await api.ask("POST", "/v1/agents", json={"tts": {"speed": 9, "x": "secret-value"}, "emotions": "yes"})
    detail = answer.json()["detail"]
    assert {tuple(fault["loc"]) for fault in detail} == {
        ("body", "name"),
        ("body", "tts", "speed"),
        ("body", "tts", "x"),
        ("body", "emotions"),
    }
    for fault in detail:
        assert fault["msg"]
        assert fault["type"]
    assert "secret-value" not in answer.text


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("abc-123", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("a\tb", False), ("", False)],
)
async def test_the_request_id_goes_in_and_out(api: Api, sent: str, kept: bool) -> None:
    answer = await api.client.get("/v1/health", headers={"X-Request-Id": sent})
    assert (answer.headers["x-request-id"] == sent) is kept
    assert answer.headers["x-request-id"]


HOSTILE_BODIES: list[tuple[bytes, int]] = [
    (b"", 422),
    (b"{", 422),
    (b"null", 422),
    (b"[]", 422),
    (b'"x"', 422),
    (b"1", 422),
    (b"NaN", 422),
    (b'{"name": NaN}', 422),
    (b'{"name": Infinity}', 422),
    (b'{"name": "x", "speed": 1e999}', 422),
    (b'{"name": "x", "speed": ' + b"9" * 5000 + b"}", 422),
    (b'{"name": "x", "metadata": {"n": ' + b"9" * 400 + b"}}", 422),
    (b'{"name": "\\ud800"}', 422),
    (b'{"name": "x", "metadata": {"a": "\\udfff"}}', 422),
    (b'{"name": "x", "metadata": {"\\ud83d": 1}}', 422),
    (b'{"name": "\xff\xfe"}', 422),
    (b'{"name": "\xed\xa0\x80"}', 422),
    (b'{"name": "a\\u0000b"}', 422),
    (b'{"name": "x", "metadata": {"a\\u0000": 1}}', 422),
    (b'{"name": "x\x00"}', 422),
    (b'\xef\xbb\xbf{"name": "x"}', 422),
    (b'{"name": "x"} {}', 422),
    (b"[" * 100_000, 422),
    (b'{"name": "x", "metadata": ' + b'{"a":' * 500 + b"1" + b"}" * 501, 422),
    (b'{"name": "x", "metadata": ' + b'{"a":' * 25 + b"1" + b"}" * 26, 422),
    (b'{"name": "x", "' + b"k" * 100_000 + b'": 1}', 422),
    (b'{"name": "x", "name": null}', 422),
    (b'{"__proto__": 1, "name": "x"}', 422),
    (b" " * (1024 * 1024) + b"{}", 413),
    (b'{"name": "' + b"x" * (1024 * 1024) + b'"}', 413),
    (b'{"name": "\\ud83d\\ude00"}', 201),
    (b'{"name": "x", "metadata": {"n": 9007199254740993, "f": 1e308}}', 201),
]


async def test_hostile_bodies_are_refused_and_break_nothing(api: Api) -> None:
    for body, status in HOSTILE_BODIES:
        answer = await api.ask("POST", "/v1/agents", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, (body[:60], answer.text[:300])
        assert len(answer.text) < 5000
        if status != 201:
            assert answer.json()["error"]["code"]
    assert await api.count("agents") == 3


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("APPLICATION/JSON", 201),
        ("application/merge-patch+json", 201),
        (None, 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jsonp", 415),
        ("garbage", 415),
    ],
)
async def test_the_body_has_to_be_sent_as_json(api: Api, content_type: str | None, status: int) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await api.ask("POST", "/v1/agents", content=b'{"name": "x"}', headers=headers)
    assert answer.status_code == status, answer.text


async def test_a_body_without_a_length_is_capped_too(api: Api) -> None:
    read = 0

    async def endless() -> Any:
        nonlocal read
        while True:
            read += 65536
            yield b" " * 65536

    headers = {"Content-Type": "application/json"}
    answer = await api.ask("POST", "/v1/agents", content=endless(), headers=headers)
    assert answer.status_code == 413
    assert read < 2 * 1024 * 1024


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b" " * (1024 * 1024 + 1)])
async def test_who_asks_is_settled_before_what_was_sent(api: Api, body: bytes) -> None:
    for content_type in ("application/json", "text/plain"):
        headers = {"Authorization": "Bearer oi_sk_live_nobody", "Content-Type": content_type}
        for path in ("/v1/agents", "/v1/calls/web", "/v1/publishable-keys"):
            answer = await api.client.post(path, content=body, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_key")
    key = (await api.made("/v1/publishable-keys", name="x", allowed_origins=["https://a.example"]))["key"]
    headers = {"Authorization": f"Bearer {key}", "Origin": "https://evil.com", "Content-Type": "application/json"}
    assert (await api.client.post("/v1/web-calls/token", content=body, headers=headers)).status_code == 403


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["agt_x", "\0", "\ud800", "{{x}}", "default", "demo", "x" * 300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        *["name", "llm_id", "tts", "transcriber", "first_message", "metadata", "dynamic_variables", "variables"],
        *["agent_id", "overrides", "allowed_origins", "scopes", "is_active", "speed", "temperature", "provider"],
        *["silence_timeout_seconds", "end_call_phrases", "system_prompt", "max_tokens", "token"],
    ]
)
ROUTES = st.sampled_from(
    [
        *[("POST", path) for path in ("/v1/agents", "/v1/models", "/v1/publishable-keys", "/v1/calls/web")],
        *[("PATCH", "/v1/agents/DEMO"), ("POST", "/v1/auth/sign-in-link")],
    ]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(route=ROUTES, body=st.dictionaries(FIELDS, JSON, max_size=5) | JSON, valid=st.booleans())
def test_no_body_is_a_500(api_runner: Any, route: tuple[str, str], body: Any, valid: bool) -> None:
    async def ask(api: Api) -> None:
        sent: Any = body
        if valid and isinstance(body, dict):
            fields = cast("dict[str, Any]", body)
            needed = {"agent_id": api.first.demo_agent_id} if "calls" in route[1] else {"name": "x"}
            sent = {**fields, **needed}
        path = route[1].replace("DEMO", str(api.first.demo_agent_id))
        content = json.dumps(sent).encode()
        answer = await api.ask(route[0], path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.json()["error"]["code"]
        else:
            json.loads(answer.content.decode("utf-8"))

    api_runner(ask)


# ---- the catalogue ---------------------------------------------------------------------------------------------------


def raised_codes() -> set[str]:
    """Every code that the package can answer with: first arguments of AppError, and what api/http writes itself."""
    codes: set[str] = set()
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            place = {"AppError": 0, "LimitReachedError": 0, "HttpRefusal": 1, "error_response": 1}.get(name)
            if place is None or len(node.args) <= place:
                continue
            code = node.args[place]
            if isinstance(code, ast.Constant) and isinstance(code.value, str):
                codes.add(code.value)
            elif name == "AppError":
                raise AssertionError(f"{path}:{node.lineno}: the code of an AppError has to be written out")
    return codes


def test_every_code_is_documented_and_every_documented_code_is_raised() -> None:
    lines = re.findall(
        r"^\| `([A-Za-z_]+)` \| (\d{3}) \| (.+) \|$", CATALOGUE.read_text(encoding="utf-8"), re.MULTILINE
    )
    documented = [code for code, _, _ in lines]
    assert len(documented) == len(set(documented))
    assert len(documented) > 25
    written_by_http = {"not_found", "method_not_allowed", "bad_request", "validation_error", "unsupported_media_type"}
    source = Path(errors.__file__).read_text(encoding="utf-8") + (ROOT / "api/http/body.py").read_text(encoding="utf-8")
    for code in written_by_http:
        assert f'"{code}"' in source
    assert set(documented) == raised_codes() | written_by_http
