"""Delivery, to a real endpoint on loopback: at least once, in order per call, each endpoint at its own pace."""

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook as Verifier

from oneinbox.api.webhooks.deliverer import RETRY_DELAYS_S, Deliverer
from oneinbox.api.webhooks.sender import Sender
from oneinbox.api.webhooks.signing import SigningSecrets
from oneinbox.core.events import CallActive, CallEnded, EndReason, MessageAdded, Role
from oneinbox.core.outbound import AddressPolicy
from oneinbox.net.outbound import OutboundGuard
from tests.support import webhook_sender
from tests.support.api import SESSION_SECRET, Api, running_api
from tests.support.receiver import HANG, RESET, Receiver, running_receiver
from tests.support.tools import missing

LOOPBACK = AddressPolicy.allowing(["127.0.0.0/8"])
QUICK_S = (0.02, 0.02, 0.04, 0.04, 0.08, 0.08, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
WHOLE_CALL = ["call.started", "transcript.partial", "transcript.partial", "call.ended", "transcript.final"]
KILLS = 500 if os.environ.get("ONEINBOX_LONG_TESTS") == "1" else 12
NODE_CHECK = Path(__file__).parents[1] / "support" / "webhook-verifier"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running_api(tmp_path, outbound=LOOPBACK) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


@asynccontextmanager
async def delivering(
    api: Api, *, limit_s: float = 0.5, lease_s: float = 1.5, delays_s: Sequence[float] = QUICK_S
) -> AsyncGenerator[Deliverer, None]:
    deliverer = Deliverer(
        api.database,
        Sender(OutboundGuard(LOOPBACK), limit_s=limit_s),
        SigningSecrets(SESSION_SECRET),
        delays_s=delays_s,
        lease_s=lease_s,
        idle_s=0.02,
    )
    deliverer.start()
    try:
        yield deliverer
    finally:
        await deliverer.aclose()


async def hook(api: Api, url: str, events: list[str] | None = None) -> dict[str, Any]:
    return await api.made("/v1/webhooks", name="x", url=url, events=events or sorted(set(WHOLE_CALL)))


async def whole_call(api: Api, **body: Any) -> str:
    """A call that is active, says two things, and ends."""
    call_id = (await api.made("/v1/calls/web", agent_id=api.first.demo_agent_id, **body))["id"]
    await api.recorder.record(CallActive(call_id=call_id, answer_ms=1))
    for turn, role in enumerate((Role.AGENT, Role.USER)):
        said = MessageAdded(
            call_id=call_id,
            message_id=f"m{turn}",
            role=role,
            content=f"ünï {turn}",
            turn=turn,
            start_s=turn,
            end_s=turn + 1,
        )
        await api.recorder.record(said)
        await api.recorder.record(said)  # told twice by a worker, and once to the endpoint
    await api.recorder.record(CallEnded(call_id=call_id, reason=EndReason.USER_HANGUP, duration_s=2.5))
    return call_id


async def settled(api: Api, limit_s: float = 30.0) -> list[tuple[str, int]]:
    """Wait until nothing waits to be delivered; return status and attempts of all deliveries, in order."""
    async with asyncio.timeout(limit_s):
        while True:
            async with api.database.read() as rows:
                query = "SELECT status, attempt FROM webhook_deliveries ORDER BY seq"
                found = [(row[0], row[1]) for row in (await rows.execute(text(query))).all()]
            if all(status != "pending" for status, _ in found):
                return found
            await asyncio.sleep(0.02)


def first_seen(received: list[Any]) -> list[Any]:
    """Each event once, in the order in which it first came."""
    return list({one.event_id: one for one in received}.values())


async def test_a_call_is_told_in_order_and_signed(api: Api, receiver: Receiver) -> None:
    made = await hook(api, f"{receiver.url}/all")
    async with delivering(api):
        call_id = await whole_call(api, metadata={"order": 7}, webhook_url=f"{receiver.url}/own")
        statuses = await settled(api)
    assert statuses == [("delivered", 1)] * 10
    calls_secret = (await api.ask("GET", "/v1/webhooks/call-secret")).json()["secret"]
    for path, secret, other in (("/all", made["secret"], calls_secret), ("/own", calls_secret, made["secret"])):
        received = receiver.on(path)
        told = [Verifier(secret).verify(one.body, one.headers) for one in received]
        assert [one["event"] for one in told] == WHOLE_CALL
        assert {one["call_id"] for one in told} == {call_id}
        assert [one["id"] for one in told] == [one.event_id for one in received]
        assert {one.headers["content-type"] for one in received} == {"application/json"}
        for one in received:
            with pytest.raises(Exception, match=r"(?i)signature"):
                Verifier(other).verify(one.body, one.headers)
    started, partial, other, ended, final = (one.told for one in receiver.on("/all"))
    assert started["agent_id"] == api.first.demo_agent_id
    assert {"to_number": None, "from_number": None, "metadata": {"order": 7}, "type": "web"}.items() <= started.items()
    assert partial["message"]["content"] == "ünï 0"
    assert {"status": "completed", "end_reason": "user_hangup", "end_owner": "caller"}.items() <= ended.items()
    assert (ended["duration_seconds"], ended["outcome"], ended["summary"]) == (2.5, None, None)
    assert final["transcript"] == "Agent: ünï 0\nUser: ünï 1"
    assert [message["role"] for message in final["messages"]] == ["agent", "user"]
    record = (await api.ask("GET", f"/v1/calls/{call_id}")).json()
    assert final["messages"] == record["messages"] == [partial["message"], other["message"]], "by the same ids, too"
    assert len({message["id"] for message in record["messages"]}) == 2


async def test_signatures_hold_with_the_official_package_of_npm(api: Api, receiver: Receiver, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        missing("npm")
    folder = tmp_path / "verifier"
    shutil.copytree(NODE_CHECK, folder)
    installed = await asyncio.to_thread(
        subprocess.run,
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode:
        missing(f"the npm package standardwebhooks ({installed.stderr[-200:]})")
    made = await hook(api, f"{receiver.url}/all")
    await api.ask("POST", f"/v1/webhooks/{made['id']}/test")
    rotated = (await api.ask("POST", f"/v1/webhooks/{made['id']}/rotate-secret")).json()
    await api.ask("POST", f"/v1/webhooks/{made['id']}/test")
    before, after = receiver.on("/all")
    cases = [
        {"secret": secret, "body": (one.body + more).decode(), "headers": one.headers}
        for secret, one, more in (
            (made["secret"], before, b""),
            (made["secret"], after, b""),  # the old secret signs for a day more
            (rotated["secret"], after, b""),
            (rotated["secret"], before, b""),
            (made["secret"], before, b" "),
        )
    ]
    done = await asyncio.to_thread(
        subprocess.run,
        ["node", "verify.mjs"],
        cwd=folder,
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [True, True, True, False, False]


@pytest.mark.parametrize("failure", [500, 301, 404, 429, HANG, RESET])
async def test_what_fails_is_tried_again_until_it_is_taken(api: Api, receiver: Receiver, failure: int) -> None:
    receiver.answer = lambda path, attempt: 200 if attempt >= 2 else failure
    made = await hook(api, f"{receiver.url}/flaky", ["call.started"])
    limit_s = 1.0 if failure == HANG else 20.0  # a slow machine's own time is no failure of the receiver
    async with delivering(api, limit_s=limit_s, lease_s=60):
        await whole_call(api)
        ((state, attempts),) = await settled(api)
    assert state == "delivered"
    assert attempts == 3 or (
        failure == HANG and attempts > 3
    )  # in its second a slow machine may miss a good answer, too
    tries = receiver.on("/flaky")
    assert len({one.event_id for one in tries}) == 1
    assert len({one.body for one in tries}) == 1
    (delivery,) = (await api.ask("GET", f"/v1/webhooks/{made['id']}/deliveries")).json()["items"]
    assert (delivery["response_status"], delivery["error"], delivery["next_retry_at"]) == (200, None, None)
    assert delivery["completed_at"] >= delivery["created_at"]


async def test_after_the_last_attempt_it_has_failed_and_the_next_goes(api: Api, receiver: Receiver) -> None:
    receiver.answer = lambda path, attempt: 500 if attempt <= len(QUICK_S) else 200
    await hook(api, f"{receiver.url}/dead", ["call.started", "call.ended"])
    async with delivering(api):
        await whole_call(api)
        assert await settled(api) == [("failed", len(QUICK_S) + 1), ("delivered", 1)]


def test_the_attempts_span_a_day() -> None:
    assert 23 * 3600 < sum(RETRY_DELAYS_S) < 30 * 3600
    assert list(RETRY_DELAYS_S) == sorted(RETRY_DELAYS_S)


async def test_an_endpoint_that_is_gone_is_switched_off(api: Api, receiver: Receiver) -> None:
    receiver.answer = lambda path, attempt: 410
    made = await hook(api, f"{receiver.url}/gone", ["call.started", "call.ended"])
    await whole_call(api)
    async with delivering(api):
        assert [status for status, _ in await settled(api)] == ["failed", "failed"]
        assert (await api.ask("GET", f"/v1/webhooks/{made['id']}")).json()["status"] == "disabled"
        await whole_call(api)
        assert len(await settled(api)) == 2
    assert len(receiver.on("/gone")) == 1


async def test_dead_endpoints_delay_nobody(api: Api, receiver: Receiver) -> None:
    """Twenty endpoints hang; each call's events still reach the one that answers before any of those gives up."""
    receiver.answer = lambda path, attempt: HANG if path.startswith("/hang") else 200
    for number in range(20):
        await hook(api, f"{receiver.url}/hang{number}")
    await hook(api, f"{receiver.url}/well")
    async with delivering(api, limit_s=60, lease_s=120):
        await asyncio.gather(*(whole_call(api) for _ in range(6)))
        await receiver.until(lambda: len(receiver.on("/well")) == 6 * len(WHOLE_CALL))
    assert all(one.answered == HANG for one in receiver.received if one.path != "/well")
    for number in range(20):
        assert len(receiver.on(f"/hang{number}")) <= 4


async def test_nothing_is_told_of_a_change_that_was_rolled_back(
    api: Api, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hook(api, f"{receiver.url}/all")
    call_id = await api.start_call()

    def cut(*arguments: Any) -> None:
        raise RuntimeError("cut")

    monkeypatch.setattr("oneinbox.api.calls.repo.touch", cut)
    with pytest.raises(RuntimeError, match="cut"):
        await api.recorder.record(CallActive(call_id=call_id, answer_ms=1))
    assert [await api.count(table) for table in ("webhook_events", "webhook_deliveries")] == [0, 0]
    assert (await api.ask("GET", f"/v1/calls/{call_id}")).json()["status"] == "queued"


@pytest.mark.timeout(120 + 5 * KILLS)
async def test_a_sender_killed_again_and_again_loses_nothing(api: Api, receiver: Receiver) -> None:
    """``kill -9`` of the sending process at random moments, endpoints that fail at random: all is told, in order."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)

    def moody(path: str, attempt: int) -> int:
        return chance.choice([200, 200, 200, 500, RESET, 503])

    receiver.answer = moody
    for path in ("/a", "/b"):
        await hook(api, receiver.url + path)
    processes = webhook_sender.context()
    kills = 0
    calls: list[str] = []

    async def make_calls() -> None:
        """So many that there is always something to be sent, and never much."""
        while kills < KILLS:
            behind = len(calls) * len(WHOLE_CALL) - len(first_seen(receiver.on("/a", taken=True)))
            if behind < 20:
                calls.append(await whole_call(api))
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as group:
        group.create_task(make_calls())
        while kills < KILLS:  # by count, not by the clock: a busy machine only takes longer
            sender = webhook_sender.start_sender(processes, api.data_dir, api.database_url)
            before = len(receiver.received)
            if kills % 3:  # most die in the middle of something, the others perhaps before they began
                await receiver.until(lambda: len(receiver.received) > before, 60)  # noqa: B023 - awaited right here
            await asyncio.sleep(chance.uniform(0.0, 0.1))
            sender.kill()
            await asyncio.to_thread(sender.join, 30)
            assert sender.exitcode == -signal.SIGKILL
            kills += 1
    async with delivering(api, lease_s=webhook_sender.LEASE_S, delays_s=webhook_sender.DELAYS_S):
        assert {status for status, _ in await settled(api, 60 + KILLS)} == {"delivered"}
    print(f"{kills} kills, {len(calls)} calls, {len(receiver.received)} requests")
    for path in ("/a", "/b"):
        events: defaultdict[str, list[Any]] = defaultdict(list)
        for one in first_seen(receiver.on(path)):
            events[one.told["call_id"]].append(one)
        assert set(events) == set(calls)
        for of_call in events.values():
            assert [one.told["event"] for one in of_call] == WHOLE_CALL
        taken = first_seen(receiver.on(path, taken=True))
        assert len(taken) == len(calls) * len(WHOLE_CALL)
        taken_of: defaultdict[str, list[str]] = defaultdict(list)
        for one in taken:
            taken_of[one.told["call_id"]].append(one.told["event"])
        assert all(in_order == WHOLE_CALL for in_order in taken_of.values())


async def test_two_senders_share_the_work(api: Api, receiver: Receiver) -> None:
    await hook(api, f"{receiver.url}/all")
    # Long enough that no attempt fails for want of time: a second one would mean that both took the same delivery.
    async with delivering(api, limit_s=20, lease_s=60), delivering(api, limit_s=20, lease_s=60):
        await asyncio.gather(*(whole_call(api) for _ in range(6)))
        assert set(await settled(api)) == {("delivered", 1)}
    assert len(receiver.received) == 6 * len(WHOLE_CALL)
