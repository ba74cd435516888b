"""Recordings from the worker's word to the address that plays them, on the disk and in a store, and their end."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from oneinbox.api.config import StoreAddress
from oneinbox.api.recordings import links
from oneinbox.api.recordings.keeper import RecordingKeeper
from oneinbox.core import ogg
from oneinbox.core.events import (
    CallActive,
    CallEnded,
    CallPrepared,
    EndReason,
    MicrophoneSilent,
    RecordingFinished,
    RecordingStarted,
)
from oneinbox.live.audio.opus import SILENCE_20_MS
from tests.support.api import BASE_URL, Api, running_api
from tests.support.s3_store import KEY_ID, REGION, SECRET, S3Store, s3_store


def sound(seconds: float = 4.0, *, ended: bool = True) -> bytes:
    """A recording as a worker writes it, of silence."""
    pages = [
        ogg.page([ogg.head_packet(0)], serial=1, number=0, position=0),
        ogg.page([ogg.tags_packet("x")], serial=1, number=1, position=0),
    ]
    count = round(seconds / 0.4)
    for n in range(count):
        packets = [ogg.joined(SILENCE_20_MS, SILENCE_20_MS)] * 20
        last = ended and n == count - 1
        pages.append(ogg.page(packets, serial=1, number=n + 2, position=960 * 20 * (n + 1), last=last))
    return b"".join(pages)


class Desk:
    """An API with a keeper that works when it is told to."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.keeper = RecordingKeeper(api.database, api.config)

    def path(self, call_id: str) -> Path:
        return self.api.config.recordings_dir / self.api.first.org_id / f"{call_id}.ogg"

    async def live_call(self) -> str:
        agent = await self.api.made("/v1/agents", name="Recorded", enable_recording=True)
        model = (await self.api.ask("GET", f"/v1/agents/{agent['id']}")).json()
        assert model["enable_recording"] is True
        call_id = (await self.api.made("/v1/calls/web", agent_id=agent["id"]))["id"]
        spec = self.api.dispatcher.started[-1]
        assert spec.enable_recording
        assert self.api.config.recordings_dir / spec.recording_name == self.path(call_id)
        await self.api.recorder.record(CallPrepared(call_id=call_id, worker_id="worker-0", setup_ms=1))
        await self.api.recorder.record(CallActive(call_id=call_id, answer_ms=1))
        await self.api.recorder.record(RecordingStarted(call_id=call_id, name=spec.recording_name))
        return call_id

    async def ended_call(self, data: bytes | None = None, *, error: str | None = None) -> str:
        call_id = await self.live_call()
        data = sound() if data is None else data
        self.path(call_id).parent.mkdir(parents=True, exist_ok=True)
        self.path(call_id).write_bytes(data)
        name = f"{self.api.first.org_id}/{call_id}.ogg"
        finished = RecordingFinished(call_id=call_id, name=name, duration_s=4.0, size_bytes=len(data), error=error)
        await self.api.recorder.record(finished)
        await self.api.recorder.record(CallEnded(call_id=call_id, reason=EndReason.USER_HANGUP, duration_s=4.0))
        return call_id

    async def work(self) -> None:
        while await self.keeper.work():
            pass

    async def record(self, call_id: str) -> dict[str, Any]:
        return (await self.api.ask("GET", f"/v1/calls/{call_id}")).json()

    async def due_now(self) -> None:
        """Let what was put off be due."""
        async with self.api.database.write() as rows:
            await rows.execute(text("UPDATE recordings SET next_try_at = created_at"))


@pytest.fixture
async def desk(tmp_path: Path):
    async with running_api(tmp_path, recordings_dir=tmp_path / "recordings") as api:
        yield Desk(api)


async def fetch(desk: Desk, url: str, **headers: str) -> httpx.Response:
    assert url.startswith(BASE_URL + "/v1/recordings/")
    return await desk.api.client.get(url, headers=headers)


async def test_a_recording_is_offered_after_the_call_and_fetched_whole_or_in_parts(desk: Desk) -> None:
    call_id = await desk.live_call()
    record = await desk.record(call_id)
    assert record["recording_url"] is None
    assert record["recording"]["status"] == "recording"
    call_id = await desk.ended_call()
    await desk.work()
    record = await desk.record(call_id)
    data = sound()
    assert record["recording"] == {
        "status": "available",
        "duration_s": 4.0,
        "size_bytes": len(data),
        "error": None,
    }
    whole = await fetch(desk, record["recording_url"])
    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["content-type"] == "audio/ogg"
    assert whole.headers["accept-ranges"] == "bytes"
    part = await fetch(desk, record["recording_url"], Range="bytes=100-199")
    assert (part.status_code, part.content) == (206, data[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(data)}"
    rest = await fetch(desk, record["recording_url"], Range="bytes=-50")
    assert (rest.status_code, rest.content) == (206, data[-50:])
    beyond = await fetch(desk, record["recording_url"], Range=f"bytes={len(data)}-")
    assert beyond.status_code == 416
    head = await desk.api.client.head(record["recording_url"])
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(data)), b"")
    page = (await desk.api.ask("GET", "/v1/calls")).json()
    listed = next(item for item in page["items"] if item["id"] == call_id)
    assert (await fetch(desk, listed["recording_url"])).content == data


async def test_a_call_that_is_not_recorded_has_none(desk: Desk) -> None:
    call_id = (await desk.api.made("/v1/calls/web", agent_id=desk.api.first.demo_agent_id))["id"]
    assert not desk.api.dispatcher.started[-1].enable_recording
    record = await desk.record(call_id)
    assert record["recording_url"] is record["recording"] is None


async def test_addresses_that_were_changed_or_are_old_are_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await desk.ended_call(), await desk.ended_call()
    await desk.work()
    url = (await desk.record(first))["recording_url"]
    later = httpx.URL(url).copy_set_param("expires", str(int(httpx.URL(url).params["expires"]) + 1))
    for forged in (
        url.replace(first, second),
        str(later),
        url[:-1] + ("A" if url[-1] != "A" else "B"),
        url.split("?")[0],
        url.split("&")[0],
        url.replace("expires=", "expires=-"),
        url.replace("expires=", "expires=٣"),
        str(httpx.URL(url).copy_set_param("signature", "é")),
        str(httpx.URL(url).copy_set_param("expires", "9" * 400)),
    ):
        answer = await desk.api.client.get(forged)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "recording_link_invalid"), forged
    # neither a key nor being of the same organisation replaces the signature
    assert (await desk.api.ask("GET", url.split("?")[0])).status_code == 403
    now_s = links.time.time()
    monkeypatch.setattr(links.time, "time", lambda: now_s + links.VALID_S + 1)
    answer = await desk.api.client.get(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "recording_link_expired")


async def test_another_organisation_never_sees_it(desk: Desk) -> None:
    call_id = await desk.ended_call()
    await desk.work()
    answer = await desk.api.client.get(f"/v1/calls/{call_id}", headers=desk.api.other_auth)
    assert answer.status_code == 404
    assert "signature" not in answer.text
    answer = await desk.api.client.delete(f"/v1/calls/{call_id}", headers=desk.api.other_auth)
    assert answer.status_code == 404
    await desk.work()
    assert desk.path(call_id).exists()


async def test_deleting_a_call_deletes_its_recording(desk: Desk) -> None:
    call_id = await desk.ended_call()
    await desk.work()
    url = (await desk.record(call_id))["recording_url"]
    assert (await desk.api.ask("DELETE", f"/v1/calls/{call_id}")).status_code == 204
    gone = await desk.api.client.get(url)  # at once, though the file may still be there
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "recording_not_found")
    await desk.work()
    assert not desk.path(call_id).exists()
    assert await desk.api.count("recordings") == 0


async def test_a_call_whose_worker_died_has_what_was_written(desk: Desk) -> None:
    call_id = await desk.live_call()
    desk.path(call_id).parent.mkdir(parents=True, exist_ok=True)
    whole = sound(ended=False)
    desk.path(call_id).write_bytes(whole[:-100])  # the last page is torn
    await desk.work()
    assert (await desk.record(call_id))["recording"]["status"] == "recording"  # it lives
    await desk.api.recorder.fail_calls([call_id], EndReason.WORKER_LOST)
    await asyncio.to_thread(_age, desk.path(call_id))
    await desk.work()
    recording = (await desk.record(call_id))["recording"]
    assert (recording["status"], recording["duration_s"]) == ("available", 3.6)
    assert "worker died" in recording["error"]
    answer = await fetch(desk, (await desk.record(call_id))["recording_url"])
    assert len(answer.content) == recording["size_bytes"] < len(whole)


async def test_a_file_that_is_still_being_written_is_left_alone(desk: Desk) -> None:
    call_id = await desk.live_call()
    desk.path(call_id).parent.mkdir(parents=True, exist_ok=True)
    desk.path(call_id).write_bytes(sound(ended=False))
    await desk.api.recorder.fail_calls([call_id], EndReason.WORKER_LOST)
    await desk.work()
    assert (await desk.record(call_id))["recording"]["status"] == "recording"


async def test_a_disk_that_was_full_leaves_the_part_that_was_written(desk: Desk) -> None:
    call_id = await desk.ended_call(sound(2.0, ended=False), error="OSError: No space left on device")
    await desk.work()
    recording = (await desk.record(call_id))["recording"]
    assert (recording["status"], recording["duration_s"]) == ("available", 2.0)
    assert "No space" in recording["error"]


async def test_where_nothing_was_written_the_record_says_why(desk: Desk) -> None:
    call_id = await desk.ended_call(b"", error="OSError: Read-only file system")
    await desk.work()
    record = await desk.record(call_id)
    assert record["recording_url"] is None
    assert (record["recording"]["status"], record["recording"]["error"]) == ("failed", "OSError: Read-only file system")


async def test_events_twice_and_late_change_nothing(desk: Desk) -> None:
    call_id = await desk.ended_call()
    await desk.work()
    name = f"{desk.api.first.org_id}/{call_id}.ogg"
    before = await desk.record(call_id)
    await desk.api.recorder.record(RecordingStarted(call_id=call_id, name=name))
    late = RecordingFinished(call_id=call_id, name=name, duration_s=1.0, size_bytes=1, error="x")
    await desk.api.recorder.record(late)
    await desk.work()
    assert (await desk.record(call_id))["recording"] == before["recording"]


async def test_webhooks_are_told_once(desk: Desk) -> None:
    hook = {"name": "x", "url": "https://hooks.example", "events": ["call.recording.available", "call.ended"]}
    await desk.api.made("/v1/webhooks", **hook)
    call_id = await desk.ended_call()
    await desk.work()
    await desk.work()
    async with desk.api.database.read() as rows:
        query = text("SELECT event FROM webhook_deliveries ORDER BY seq")
        told = [row[0] for row in (await rows.execute(query)).all()]
    assert told == ["call.ended", "call.recording.available"]
    assert (await desk.record(call_id))["recording"]["status"] == "available"


async def test_a_dead_microphone_is_on_the_record_until_it_is_heard(desk: Desk) -> None:
    call_id = await desk.live_call()
    assert (await desk.record(call_id))["microphone_silent_at_s"] is None
    await desk.api.recorder.record(MicrophoneSilent(call_id=call_id, silent=True, at_s=3.02))
    assert (await desk.record(call_id))["microphone_silent_at_s"] == 3.02
    await desk.api.recorder.record(MicrophoneSilent(call_id=call_id, silent=False, at_s=8.0))
    assert (await desk.record(call_id))["microphone_silent_at_s"] is None


# ---- a store


@pytest.fixture
async def stored(tmp_path: Path):
    with s3_store() as store:
        address = StoreAddress(url=store.url, key_id=KEY_ID, secret=SECRET, region=REGION)
        async with running_api(tmp_path, recordings_dir=tmp_path / "recordings", recordings_store=address) as api:
            yield Desk(api), store


async def test_a_store_gets_the_file_and_hands_it_out_itself(stored: tuple[Desk, S3Store]) -> None:
    desk, store = stored
    call_id = await desk.ended_call()
    await desk.work()
    key = f"/recordings/calls/{desk.api.first.org_id}/{call_id}.ogg"
    assert store.objects == {key: sound()}
    assert store.types == {key: "audio/ogg"}
    assert not desk.path(call_id).exists()
    url = (await desk.record(call_id))["recording_url"]
    assert url.startswith(store.url)
    async with httpx.AsyncClient() as client:
        answer = await client.get(url)
        assert (answer.status_code, answer.content) == (200, sound())
        assert (await client.get(url.replace("Expires=14400", "Expires=14401"))).status_code == 403
        assert (await client.get(url.replace(call_id, "call_other"))).status_code == 403
        assert (await client.delete(url)).status_code == 403
    assert (await desk.api.ask("DELETE", f"/v1/calls/{call_id}")).status_code == 204
    await desk.work()
    assert store.objects == {}
    assert await desk.api.count("recordings") == 0


async def test_a_store_that_is_out_is_tried_again_and_the_file_stays(stored: tuple[Desk, S3Store]) -> None:
    desk, store = stored
    store.stop()
    call_id = await desk.ended_call()
    await desk.work()
    record = await desk.record(call_id)
    assert record["recording_url"] is None
    assert record["recording"]["status"] == "written"
    assert "cannot be reached" in record["recording"]["error"]
    assert desk.path(call_id).exists()
    store.start()
    store.failing = 1
    await desk.due_now()
    await desk.work()
    assert "503" in (await desk.record(call_id))["recording"]["error"]
    desk.keeper = RecordingKeeper(desk.api.database, desk.api.config)  # the server was started anew meanwhile
    await desk.due_now()
    await desk.work()
    record = await desk.record(call_id)
    assert record["recording"]["status"] == "available"
    assert record["recording"]["error"] is None
    assert list(store.objects.values()) == [sound()]
    assert not desk.path(call_id).exists()


async def test_a_call_deleted_while_the_store_is_out_is_deleted_there_later(stored: tuple[Desk, S3Store]) -> None:
    desk, store = stored
    call_id = await desk.ended_call()
    await desk.work()
    store.stop()
    assert (await desk.api.ask("DELETE", f"/v1/calls/{call_id}")).status_code == 204
    await desk.work()
    assert store.objects
    assert await desk.api.count("recordings") == 1
    store.start()
    await desk.due_now()
    await desk.work()
    assert store.objects == {}
    assert await desk.api.count("recordings") == 0


async def test_the_store_s_secret_is_nowhere_to_be_seen(stored: tuple[Desk, S3Store], caplog: Any) -> None:
    desk, store = stored
    caplog.set_level("DEBUG")
    store.failing = 1
    call_id = await desk.ended_call()
    await desk.work()
    record = await desk.api.ask("GET", f"/v1/calls/{call_id}")
    assert "503" in record.text
    assert SECRET not in record.text + caplog.text + repr(desk.api.config)


async def test_a_store_that_does_not_know_us_keeps_nothing(tmp_path: Path) -> None:
    with s3_store() as store:
        address = StoreAddress(url=store.url, key_id=KEY_ID, secret="another", region=REGION)
        async with running_api(tmp_path, recordings_dir=tmp_path / "recordings", recordings_store=address) as api:
            desk = Desk(api)
            call_id = await desk.ended_call()
            await desk.work()
            assert store.objects == {}
            assert "403" in (await desk.record(call_id))["recording"]["error"]
            assert desk.path(call_id).exists()


def _age(path: Path) -> None:
    import os  # noqa: PLC0415

    then = path.stat().st_mtime - 60
    os.utime(path, (then, then))
