"""One spoken call in Chromium for each behaviour of a turn, with human speech, asserted on what the page heard.

The caller's words are recordings of a person (Debian's Asterisk prompts), said when the page hears the agent; the models
are served over OpenAI's wire. No assertion is on how quick anything is: a slow machine passes.
"""

import wave
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.support.chromium import CHROMIUM, FLAGS, need_chromium
from tests.support.model_server import asks, model_server
from tests.support.running import RunningServer
from tests.support.speech import RATE_HZ, flite, need_flite, need_prompts, prompt
from tests.support.talking_page import LOUD, SCRIPT, Stretch, TalkingPage

QUICK = "Nobody is available to take your call at the moment"
LONG = "You will now be placed into the conference"
CUT_IN = "Please try your call again later"
HALVES = ("please wait while I", "connect your call")
HUM = "mm-hm"
LOOK_UP = "The conference will begin when the leader arrives"
PROMPTS = {
    QUICK: "vm-nobodyavail",
    LONG: "conf-placeintoconf",
    CUT_IN: "please-try-call-later",
    LOOK_UP: "conf-waitforleader",
}
WHOLE, WHOLE_TEXT, CUT_AT = "vm-dialout", " ".join(HALVES), 0.5

GREETING = "Hello, this is the shop."
LONG_ANSWER = (
    "It left the warehouse this morning, and the driver has your number. You will have it tomorrow at noon, and if "
    "nobody is at home then it goes to your neighbour."
)
FOUND = '{"arrives": "at ten"}'
FOUND_ANSWER = "The leader comes at ten."
ANSWERS: dict[str, Any] = {
    LOOK_UP: {"tool_calls": [{"name": "leader", "arguments": {}}]},
    FOUND: FOUND_ANSWER,
    QUICK: "Then I will call again.",
    LONG: LONG_ANSWER,
    CUT_IN: "Of course, goodbye for now.",
    WHOLE_TEXT: "I am waiting for the connection.",
}


def _trimmed(pcm: bytes) -> np.ndarray[Any, np.dtype[np.int16]]:
    samples = np.frombuffer(pcm, np.int16)
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 200)
    return samples[loud[0] : loud[-1] + 1]


def _halves() -> tuple[bytes, bytes]:
    """Cut a sentence between two words: where, near its middle, 40 ms are the quietest."""
    samples = _trimmed(prompt(WHOLE))
    width = RATE_HZ // 25
    power = np.convolve(samples.astype(np.float64) ** 2, np.ones(width), "same")
    from_, to = int((CUT_AT - 0.1) * len(samples)), int((CUT_AT + 0.1) * len(samples))
    cut = from_ + int(power[from_:to].argmin())
    return samples[:cut].tobytes(), samples[cut:].tobytes()


def _write_wav(path: Path, pcm: bytes) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm)
    return str(path)


@dataclass
class World:
    """A server, the models that it asks, and a browser."""

    server: RunningServer
    wire_url: str
    page: Page
    script: dict[str, Any]

    def set_script(self, **fields: Any) -> None:
        """Change how the models answer."""
        httpx.post(f"{self.wire_url.removesuffix('/v1')}/admin/script", json={**self.script, **fields})

    def asked_of_the_model(self) -> list[str]:
        """The last message of every request to the language model so far."""
        rows = httpx.get(f"{self.wire_url.removesuffix('/v1')}/admin/requests").json()
        return [row["body"]["messages"][-1]["content"] for row in rows if row["stage"] == "llm"]


@pytest.fixture(scope="module")
def world(built_pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need_flite()
    need_prompts()
    need_chromium()
    assert built_pages.is_dir()
    folder = tmp_path_factory.mktemp("turns")
    known = [{"text": text, "prompt": name} for text, name in PROMPTS.items()]
    for text, pcm in zip(HALVES, _halves(), strict=True):
        known.append({"text": text, "wav": _write_wav(folder / f"{len(known)}.wav", pcm)})
    known.append({"text": HUM, "wav": _write_wav(folder / "hum.wav", flite("mm hmm"))})
    script = {"replies": ANSWERS, "known": known, "transcripts": [""] * 100}  # a sound it does not know has no words
    with model_server(folder, script) as url:
        environ = {**asks(url), "ONEINBOX_ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8"}
        with (
            RunningServer(folder / "data", environ=environ) as server,
            sync_playwright() as chromium,
        ):
            browser = chromium.chromium.launch(
                executable_path=CHROMIUM, args=[*FLAGS, "--use-fake-ui-for-media-stream"]
            )
            context = browser.new_context()
            page = context.new_page()
            page.add_init_script(SCRIPT)
            page.goto(server.sign_in_url)
            page.wait_for_url("**/agents")
            yield World(server, url, page, script)
            browser.close()


@dataclass
class Call:
    """A call that has begun: its greeting was heard."""

    ear: TalkingPage
    server: RunningServer
    call_id: str

    def hang_up(self) -> dict[str, Any]:
        """End the call; return its record."""
        self.ear.page.get_by_role("button", name="Hang up").click()
        return self.record()

    def record(self) -> dict[str, Any]:
        return self.server.wait_for_call(self.call_id, limit_s=40)

    def ask_for_the_long_answer(self) -> None:
        """Say the question, and wait until its answer has been heard for a second and a half."""
        self.ear.say(prompt(PROMPTS[LONG]))
        self.ear.wait_until_loud()
        self.ear.wait_ms(1500)


@pytest.fixture
def call(world: World, request: pytest.FixtureRequest) -> Call:
    """Talk to an agent of one's own, with the settings of the test's ``agent`` mark."""
    return begin(world, request.node.name.replace("_", " ")[:60], **getattr(request, "param", {}))


def begin(world: World, name: str, **fields: Any) -> Call:
    """Make an agent and talk to it; return when its greeting was heard."""
    world.server.json("POST", "/v1/agents", json={"name": name, "first_message": GREETING, **fields})
    page = world.page
    page.goto(f"{world.server.url}/agents")
    with page.expect_response("**/v1/calls/web") as answer:
        page.get_by_role("button", name=f"Talk to {name}").click()
    ear = TalkingPage(page)
    ear.wait_until_loud()
    ear.wait_until_quiet()
    return Call(ear, world.server, str(answer.value.json()["id"]))


def said_by(record: dict[str, Any], role: str) -> list[str]:
    return [message["content"] for message in record["messages"] if message["role"] == role]


def test_a_question_is_answered(call: Call) -> None:
    asked = call.ear.say(prompt(PROMPTS[QUICK]))
    call.ear.wait_until_loud()
    call.ear.wait_until_quiet()
    record = call.hang_up()
    assert call.ear.loudest(asked) < LOUD, "the agent does not cut in"
    assert said_by(record, "user") == [QUICK]
    assert said_by(record, "agent") == [GREETING, ANSWERS[QUICK]]
    assert not any(message["interrupted"] for message in record["messages"])
    assert record["latency"]["perceived"]["turns"] == 1
    assert record["provider_failures"] == []


def test_a_caller_who_cuts_in_is_heard_out_and_answered(call: Call) -> None:
    call.ask_for_the_long_answer()
    cut_in = call.ear.say(prompt(PROMPTS[CUT_IN]))
    assert call.ear.loudest(Stretch(cut_in.to_ms - 500, cut_in.to_ms)) < LOUD, "the agent is silent by then"
    call.ear.wait_until_loud()
    call.ear.wait_until_quiet()
    record = call.hang_up()
    assert said_by(record, "user") == [LONG, CUT_IN]
    _, stopped, answer = [message for message in record["messages"] if message["role"] == "agent"]
    assert stopped["interrupted"]
    assert LONG_ANSWER.startswith(stopped["content"].rstrip())
    assert 0 < len(stopped["content"]) < len(LONG_ANSWER)
    assert (answer["content"], answer["interrupted"]) == (ANSWERS[CUT_IN], False)


@pytest.mark.parametrize(("sound", "words"), [("cough", []), ("mm-hm", [HUM])])
def test_a_sound_does_not_stop_the_agent(call: Call, sound: str, words: list[str]) -> None:
    call.ask_for_the_long_answer()
    before = Stretch(call.ear.now_ms() - 1400, call.ear.now_ms())
    made = call.ear.say(flite("ahem") if sound == "cough" else flite("mm hmm"))
    during = Stretch(made.from_ms + 350, made.to_ms)
    assert call.ear.loudness(during) < 0.6 * call.ear.loudness(before), "the agent ducks, or stops for a moment"
    call.ear.wait_until_loud()
    call.ear.wait_until_quiet(2_000)
    record = call.hang_up()
    assert said_by(record, "agent") == [GREETING, LONG_ANSWER], "it goes on, and says all of it, once"
    assert not any(message["interrupted"] for message in record["messages"])
    assert said_by(record, "user") == [LONG, *words]


class SlowTool(ThreadingHTTPServer):
    """A server of the account's, which answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SlowAnswer)
        self.go_on = Event()
        Thread(target=self.serve_forever, daemon=True).start()


class _SlowAnswer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, SlowTool)
        self.server.go_on.wait(60)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(FOUND)))
        self.end_headers()
        self.wfile.write(FOUND.encode())

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def slow_tool() -> Iterator[SlowTool]:
    with SlowTool() as running:
        yield running
        running.go_on.set()


def test_a_slow_tool_is_bridged_and_its_result_told(world: World, slow_tool: SlowTool) -> None:
    tool = {
        "type": "api_call",
        "name": "leader",
        "description": "When the leader arrives",
        "url": f"http://127.0.0.1:{slow_tool.server_port}/",
        "method": "GET",
        "timeout_seconds": 60,
    }
    tool_id = world.server.json("POST", "/v1/tools", json=tool)["id"]
    model = world.server.json("POST", "/v1/models", json={"name": "With a tool", "tool_ids": [tool_id]})
    call = begin(world, "slow tool", llm_id=model["id"])
    call.ear.say(prompt(PROMPTS[LOOK_UP]))
    call.ear.wait_until_loud()
    call.ear.wait_until_quiet()
    slow_tool.go_on.set()
    call.ear.wait_until_loud()
    call.ear.wait_until_quiet()
    record = call.hang_up()
    assert said_by(record, "user") == [LOOK_UP]
    greeting, *fillers, answer = said_by(record, "agent")
    assert (greeting, answer) == (GREETING, FOUND_ANSWER)
    assert fillers, "something was said while the tool ran"
    assert said_by(record, "tool_result") == [FOUND]


def test_a_turn_that_goes_on_is_taken_back(call: Call, world: World) -> None:
    """The agent has taken the first half for the turn and thinks; the caller goes on before anything of it is heard."""
    first, second = _halves()
    world.set_script(first_token_s=8.0, first_audio_s=4.0)  # nothing of it, and no filler either, for a while
    began = call.ear.say(first)
    expect(call.ear.page.get_by_role("status").filter(has_text="Thinking")).to_be_visible(timeout=15_000)
    ended = call.ear.say(second)
    world.set_script()
    assert call.ear.loudest(Stretch(began.from_ms, ended.to_ms)) < LOUD
    call.ear.wait_until_loud()
    call.ear.wait_until_quiet(1_500)
    record = call.hang_up()
    assert HALVES[0] in world.asked_of_the_model(), "the first half was taken for the turn"
    assert said_by(record, "user") == [WHOLE_TEXT]
    assert said_by(record, "agent")[-1].endswith(ANSWERS[WHOLE_TEXT])
    assert not any(message["interrupted"] for message in record["messages"])


@pytest.mark.parametrize("call", [{"silence_timeout_seconds": 3}], indirect=True)
def test_a_silent_call_ends(call: Call) -> None:
    greeted_ms = call.ear.now_ms()
    expect(call.ear.page.get_by_role("button", name="Hang up")).to_have_count(0, timeout=20_000)
    record = call.record()
    assert call.ear.loudest(Stretch(greeted_ms, call.ear.now_ms())) < LOUD
    assert (record["status"], record["end_reason"]) == ("completed", "silence_timeout")
    assert said_by(record, "agent") == [GREETING]


REMINDERS = ["Are you still on the line?", "I will hang up in a moment."]
REMINDED_AFTER_S = 3


@pytest.mark.parametrize(
    "call",
    [
        {
            "silence_timeout_seconds": 3 * REMINDED_AFTER_S,
            "turn_taking": {
                "reminder_count": 2,
                "reminder_after_seconds": REMINDED_AFTER_S,
                "reminders": REMINDERS,
            },
        }
    ],
    indirect=True,
)
def test_a_silent_caller_is_reminded_and_an_answer_begins_the_count_again(call: Call) -> None:
    call.ear.wait_until_loud()  # the first reminder
    call.ear.wait_until_quiet()
    answered = call.ear.say(prompt(PROMPTS[QUICK]))
    expect(call.ear.page.get_by_role("button", name="Hang up")).to_have_count(0, timeout=60_000)
    record = call.record()
    assert (record["status"], record["end_reason"]) == ("completed", "silence_timeout")
    assert said_by(record, "user") == [QUICK]
    assert said_by(record, "agent") == [GREETING, REMINDERS[0], ANSWERS[QUICK], *REMINDERS]
    assert not any(message["interrupted"] for message in record["messages"])
    for before, after in pairwise(record["messages"]):
        if after["content"] in REMINDERS:
            assert after["start_s"] - before["end_s"] >= REMINDED_AFTER_S
    heard = call.ear.loud_stretches(Stretch(answered.to_ms, call.ear.now_ms()), apart_ms=700)
    assert len(heard) == 3, "the answer and both reminders"
