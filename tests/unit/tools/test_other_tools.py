"""E-mail, calendar, notes, and tools that a call cannot have."""

from typing import Any

import httpx
import msgspec
import pytest

from oneinbox.core.events import AnyCallEvent, InformationExtracted
from oneinbox.core.outbound import AddressPolicy
from oneinbox.core.spec import CallSpec, LlmSpec, SttSpec, ToolSpec, TtsSpec, TurnSpec
from oneinbox.live.engine.ports import ToolOutcome
from oneinbox.live.tools.knowledge import ServerKnowledge
from oneinbox.live.tools.toolbox import ToolHub
from tests.support.tool_servers import Servers, one_after_the_other
from tests.support.virtual_time import run_virtually

CAL = {"type": "object", "properties": {name: {"type": "string"} for name in ("start", "name", "email")}}


def spec_with(*tools: ToolSpec, variables: dict[str, Any] | None = None, untrusted: tuple[str, ...] = ()) -> CallSpec:
    return CallSpec(
        call_id="call_1",
        org_id="org_1",
        agent_id="agt_1",
        agent_name="A",
        room_name="web-1",
        identity="caller",
        first_message=None,
        llm=LlmSpec(provider="x"),
        stt=SttSpec(provider="x"),
        tts=TtsSpec(provider="x"),
        turns=TurnSpec(),
        tools=tools,
        variables=variables or {},
        untrusted=untrusted,
    )


def run(
    tool: ToolSpec,
    arguments: dict[str, Any],
    servers: Servers | None = None,
    events: list[AnyCallEvent] | None = None,
    untrusted: tuple[str, ...] = (),
    **variables: Any,
) -> ToolOutcome:
    async def use() -> ToolOutcome:
        hub = ToolHub(AddressPolicy(), ServerKnowledge(lambda _: None), web=(servers or Servers()).web())
        told = [] if events is None else events
        tools = hub.for_call(spec_with(tool, variables=variables, untrusted=untrusted), told.append)
        await tools.prepare()
        found = tools.find(tool.name)
        assert found is not None
        return await found.run(arguments, key="key-1")

    return run_virtually(use)


def mail(provider: str = "resend", to: str = "{{email}}", sender: str | None = "Shop <shop@example.com>") -> ToolSpec:
    names = ("email", "name")
    return ToolSpec(
        name="mail",
        type="send_email",
        description="d",
        parameters={"type": "object", "properties": {name: {"type": "string"} for name in names}},
        config={
            "messaging_config": {"to": to, "subject_template": "For {{name}}\nBcc: x", "body_template": "Dear {name},"},
            "credential": {"provider": provider, "api_key": "re_secret", "metadata": {"from": sender}},
        },
    )


WHO = {"email": "ada@example.com", "name": "Ada"}


def test_resend() -> None:
    servers = Servers()
    assert run(mail(), WHO, servers) == ToolOutcome(content="Sent.")
    assert str(servers.last.url) == "https://93.184.215.14/emails"
    assert servers.last.headers["host"] == "api.resend.com"
    assert servers.last.headers["authorization"] == "Bearer re_secret"
    assert servers.last.headers["idempotency-key"] == "key-1"
    assert servers.body() == {
        "from": "Shop <shop@example.com>",
        "to": ["ada@example.com"],
        "subject": "For Ada Bcc: x",
        "text": "Dear Ada,",
    }


def test_sendgrid() -> None:
    servers = Servers(lambda _: httpx.Response(202))
    assert run(mail("sendgrid"), WHO, servers) == ToolOutcome(content="Sent.")
    assert servers.last.headers["host"] == "api.sendgrid.com"
    assert servers.body() == {
        "personalizations": [{"to": [{"email": "ada@example.com"}]}],
        "from": {"email": "shop@example.com", "name": "Shop"},
        "subject": "For Ada Bcc: x",
        "content": [{"type": "text/plain", "value": "Dear Ada,"}],
    }


@pytest.mark.parametrize("address", ["nobody", "a@b, c@d", "a@b\nBcc: c@d", "", "<a@b>"])
def test_one_address_and_no_more(address: str) -> None:
    servers = Servers()
    outcome = run(mail(), {**WHO, "email": address}, servers)
    assert outcome.is_error
    assert "letter by letter" in outcome.content
    assert servers.requests == []


def test_the_callers_own_address_is_a_variable() -> None:
    servers = Servers()
    assert not run(mail(to="caller"), {"name": "Ada"}, servers, email="grace@example.com").is_error
    assert servers.body()["to"] == ["grace@example.com"]
    assert run(mail(to="caller"), {"name": "Ada"}, servers).is_error


def test_a_visitors_page_does_not_say_where_mail_goes() -> None:
    servers = Servers()
    sent = run(mail(to="caller"), {"name": "Ada"}, servers, untrusted=("email",), email="victim@example.com")
    assert sent.is_error
    assert servers.requests == []


def test_a_credential_without_a_sender_says_so() -> None:
    assert "metadata.from" in run(mail(sender=None), WHO).content


def test_a_refused_mail_keeps_the_key_to_itself() -> None:
    servers = Servers(lambda _: httpx.Response(403, text="re_secret is not allowed"))
    assert run(mail(), WHO, servers) == ToolOutcome(content="The mail service refused it (HTTP 403).", is_error=True)


def calendar(calendar_id: str = "4711", **metadata: Any) -> ToolSpec:
    return ToolSpec(
        name="book",
        type="schedule_calendar_event",
        description="d",
        parameters={**CAL, "required": ["start", "name", "email"]},
        config={
            "calendar_config": {"calendar_id": calendar_id, "duration_minutes": 30, "timezone": "Europe/Berlin"},
            "credential": {"provider": "cal.com", "api_key": "cal_secret", "metadata": metadata},
        },
    )


SLOT = {"start": "2026-07-01T15:30", "name": "Ada", "email": "ada@example.com"}


def test_a_slot_is_booked_in_utc() -> None:
    servers = Servers(lambda _: httpx.Response(201, json={"status": "success"}))
    assert run(calendar(), SLOT, servers).content == "Booked for 2026-07-01T13:30:00Z (UTC)."
    assert servers.last.url.path == "/v2/bookings"
    assert servers.last.headers["host"] == "api.cal.com"
    assert servers.last.headers["cal-api-version"] == "2024-08-13"
    assert servers.body() == {
        "start": "2026-07-01T13:30:00Z",
        "attendee": {"name": "Ada", "email": "ada@example.com", "timeZone": "Europe/Berlin"},
        "lengthInMinutes": 30,
        "eventTypeId": 4711,
    }


def test_an_event_type_of_one_length_is_asked_for_without_it() -> None:
    refusal = httpx.Response(400, json={"error": {"message": "Can't specify 'lengthInMinutes'"}})
    servers = Servers(one_after_the_other(refusal, httpx.Response(201, json={})))
    assert not run(calendar("ada/intro"), {**SLOT, "start": "2026-07-01T15:30:00+00:00"}, servers).is_error
    assert servers.body()["start"] == "2026-07-01T15:30:00Z"
    assert (servers.body()["username"], servers.body()["eventTypeSlug"]) == ("ada", "intro")
    assert "lengthInMinutes" not in servers.body()


def test_a_calendar_of_ones_own_and_its_refusal() -> None:
    servers = Servers(lambda _: httpx.Response(409, json={"error": {"message": "That slot is taken"}}))
    outcome = run(calendar(base_url="https://cal.example.org/"), SLOT, servers)
    assert outcome == ToolOutcome(content="Not booked: That slot is taken", is_error=True)
    assert servers.last.headers["host"] == "cal.example.org"


@pytest.mark.parametrize("change", [{"start": "tomorrow"}, {"email": "nobody"}, {"name": None}])
def test_what_cannot_be_booked_is_not_asked_for(change: dict[str, Any]) -> None:
    servers = Servers()
    assert run(calendar(), {**SLOT, **change}, servers).is_error
    assert servers.requests == []


def test_what_is_learnt_is_noted() -> None:
    parameters = {
        "type": "object",
        "properties": {"budget": {"type": "number"}, "town": {"type": "string"}},
        "required": ["budget"],
    }
    tool = ToolSpec(name="lead", type="extract_information", description="d", parameters=parameters)
    events: list[AnyCallEvent] = []
    assert run(tool, {"budget": "1200", "town": None, "x": 1}, events=events).content == "Noted."
    assert events == [InformationExtracted(call_id="call_1", name="lead", values={"budget": 1200})]
    assert run(tool, {"town": "Ulm"}, events=events).is_error
    assert len(events) == 1


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("transfer_call", "telephone line"),
        ("send_sms", "telephone line"),
        ("send_email", "no account"),
        ("schedule_calendar_event", "no account"),
    ],
)
def test_what_a_call_cannot_have_is_said(kind: str, why: str) -> None:
    outcome = run(ToolSpec(name="x", type=kind, description="d"), {})
    assert outcome.is_error
    assert why in outcome.content


@pytest.mark.parametrize(("path", "asked"), [("{{tenant}}", True), ("{{shop}}", False)])
def test_what_a_visitors_page_sent_fills_no_address_and_no_header(path: str, asked: bool) -> None:
    servers = Servers()
    config = {
        "url": f"https://shop.example.com/{path}",
        "method": "GET",
        "headers": {"X-Shop": "{{shop}} {{tenant}}"},
    }
    tool = ToolSpec(name="look_up", type="api_call", description="d", config=config)
    spec = msgspec.structs.replace(spec_with(tool, variables={"shop": "theirs", "tenant": "ours"}), untrusted=("shop",))

    async def use() -> ToolOutcome:
        found = (
            ToolHub(AddressPolicy(), ServerKnowledge(lambda _: None), web=servers.web())
            .for_call(spec, [].append)
            .find("look_up")
        )
        assert found is not None
        return await found.run({}, key="key-1")

    assert run_virtually(use).is_error is not asked
    assert len(servers.requests) == asked
    if asked:
        assert (servers.last.url.path, servers.last.headers["x-shop"]) == ("/ours", "ours")
