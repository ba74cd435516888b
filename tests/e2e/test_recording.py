"""A recorded call by LiveKit's own Python client: what is on the recording is what was said, where the record says it was."""

import asyncio
import io
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest

from tests.support.caller import Caller
from tests.support.media_signal import Samples, likeness, rms, samples
from tests.support.running import RunningServer
from tests.support.s3_store import KEY_ID, REGION, SECRET, S3Store, s3_store
from tests.support.speech import flite, need_flite, resample

RATE_HZ = 48_000
QUESTION = "what are your opening hours"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("recording") / "data") as running:
        running.json("PATCH", f"/v1/agents/{running.demo_agent_id}", json={"enable_recording": True})
        yield running


async def talk(server: RunningServer, *, hang_up: bool = True) -> tuple[str, Caller]:
    """Hear the greeting, ask, hear the answer, and leave."""
    need_flite()
    made = await asyncio.to_thread(server.make_call)
    caller = await Caller().join(made["server_url"], made["participant_token"])
    await caller.wait_for_agent("demo desk")
    await caller.wait_until_quiet()
    await caller.speak_and_wait(flite(QUESTION))
    await caller.wait_for_answers(2)
    if hang_up:
        await caller.leave()
    return made["id"], caller


def wait_for_recording(server: RunningServer, call_id: str, limit_s: float = 20.0) -> dict[str, Any]:
    deadline = time.monotonic() + limit_s
    while True:
        record = server.json("GET", f"/v1/calls/{call_id}")
        if record["recording_url"]:
            return record
        assert time.monotonic() < deadline, record
        time.sleep(0.1)


def decoded(data: bytes) -> tuple[Samples, Samples]:
    with av.open(io.BytesIO(data)) as container:
        both = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    left, right = both.astype(np.float64) * 32_768
    return left, right


def part(sound: Samples, message: dict[str, Any], margin_s: float = 0.5) -> Samples:
    start, end = message["start_s"] - margin_s, message["end_s"] + margin_s
    return sound[max(0, round(start * RATE_HZ)) : round(end * RATE_HZ)]


async def test_both_sides_stand_on_the_recording_where_the_record_says(server: RunningServer) -> None:
    call_id, caller = await talk(server)
    record = await asyncio.to_thread(wait_for_recording, server, call_id)
    answer = await asyncio.to_thread(httpx.get, record["recording_url"], timeout=20)
    assert answer.headers["content-type"] == "audio/ogg"
    left, right = decoded(answer.content)
    assert len(left) / RATE_HZ == pytest.approx(record["duration_seconds"], abs=0.02)
    assert record["recording"]["duration_s"] == pytest.approx(record["duration_seconds"], abs=0.02)
    greeting, question, reply = record["messages"][:3]
    said = samples(resample(flite(QUESTION), 16_000, RATE_HZ))
    assert likeness(part(left, question, 1.0), said) > 0.6  # by way of two codecs
    assert rms(part(left, greeting, 0.0)) < 0.1 * rms(part(left, question, 0.0))
    for message in (greeting, reply):
        # its sound begins and ends where the record says, to a frame and the voice's own quiet edges
        assert rms(part(right, message, 0.0)) > 300
        silent_s = message["start_s"] - 0.03
        if silent_s > 0.2:  # the greeting begins with the call
            assert rms(right[round((silent_s - 0.2) * RATE_HZ) : round(silent_s * RATE_HZ)]) < 30
        after_s = message["end_s"] + 0.05
        assert rms(right[round(after_s * RATE_HZ) : round((after_s + 0.2) * RATE_HZ)]) < 30
    # the caller heard the same: what it received is on the right. Its jitter buffer stretches: a short piece is compared
    heard = np.concatenate([pcm for _, pcm in caller.heard]).astype(np.float64)
    spoken = part(right, greeting, 0.0)
    pieces = [spoken[at : at + RATE_HZ // 4] for at in range(RATE_HZ // 2, 2 * RATE_HZ, RATE_HZ // 4)]
    assert max(likeness(heard, piece) for piece in pieces) > 0.75


async def test_a_worker_that_is_killed_leaves_the_call_up_to_its_last_second(server: RunningServer) -> None:
    call_id, caller = await talk(server, hang_up=False)
    (pid,) = await asyncio.to_thread(server.worker_pids)
    os.kill(pid, signal.SIGKILL)
    record = await asyncio.to_thread(wait_for_recording, server, call_id)
    assert record["end_reason"] == "worker_lost"
    assert "worker died" in record["recording"]["error"]
    assert record["recording"]["duration_s"] == pytest.approx(record["duration_seconds"], abs=1.5)
    data = (await asyncio.to_thread(httpx.get, record["recording_url"], timeout=20)).content
    left, right = decoded(data)
    assert len(left) / RATE_HZ == pytest.approx(record["recording"]["duration_s"], abs=0.01)
    _, question, reply = record["messages"][:3]
    said = samples(resample(flite(QUESTION), 16_000, RATE_HZ))
    assert likeness(part(left, question, 1.0), said) > 0.6  # by way of two codecs
    assert rms(part(right, reply, 0.0)) > 300
    await caller.leave()


async def test_a_store_by_address_is_all_it_takes(tmp_path: Path) -> None:
    with s3_store() as store:
        environ = {
            "ONEINBOX_RECORDINGS_STORE": store.url,
            "ONEINBOX_RECORDINGS_STORE_KEY_ID": KEY_ID,
            "ONEINBOX_RECORDINGS_STORE_SECRET": SECRET,
            "ONEINBOX_RECORDINGS_STORE_REGION": REGION,
        }
        with RunningServer(tmp_path / "data", environ=environ) as server:
            await check_store(server, store)
            assert SECRET not in "".join(server.output)


async def check_store(server: RunningServer, store: S3Store) -> None:
    server.json("PATCH", f"/v1/agents/{server.demo_agent_id}", json={"enable_recording": True})
    made = await asyncio.to_thread(server.make_call)
    caller = await Caller().join(made["server_url"], made["participant_token"])
    await caller.wait_for_agent("demo desk")
    store.stop()
    await caller.leave()
    await asyncio.to_thread(server.wait_for_call, made["id"])
    assert list((server.data_dir / "recordings").rglob("*.ogg"))
    store.start()
    record = await asyncio.to_thread(wait_for_recording, server, made["id"])
    data = (await asyncio.to_thread(httpx.get, record["recording_url"], timeout=20)).content
    assert list(store.objects.values()) == [data]
    left, _ = decoded(data)
    assert len(left) / RATE_HZ == pytest.approx(record["duration_seconds"], abs=0.02)
    await asyncio.to_thread(server.json, "GET", f"/v1/calls/{made['id']}")
    assert server.request("DELETE", f"/v1/calls/{made['id']}").status_code == 204
    deadline = time.monotonic() + 20
    while store.objects or list((server.data_dir / "recordings").rglob("*.ogg")):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
