"""Limits under a burst: a thousand requests over fifty connections and two processes on one SQLite file."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.api import running_api

SITE = "https://shop.example.com"
CONNECTIONS = 50


@contextmanager
def process(data_dir: Path) -> Iterator[str]:
    """Run one server; yields its address."""
    command = [sys.executable, "-m", "tests.support.burst_server", str(data_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.stdin.close()
            try:
                server.wait(10)
            finally:
                server.kill()


async def burst(addresses: list[str], headers: list[dict[str, str]], body: dict[str, Any]) -> list[httpx.Response]:
    """Send one request for each of ``headers``, all connections busy all the time."""
    waiting = iter(enumerate(headers))
    answers: list[httpx.Response] = []

    async def connection(address: str) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            for _, each in waiting:
                answers.append(await client.post("/v1/web-calls/token", headers=each, json=body))

    await asyncio.gather(*(connection(addresses[number % len(addresses)]) for number in range(CONNECTIONS)))
    return answers


@pytest.mark.parametrize(
    ("requests", "limits", "admitted", "code"),
    [
        (1_000, {"calls_per_minute": 30}, 30, "rate_limited"),
        (250, {"max_concurrent_calls": 7}, 7, "too_many_calls"),
        (250, {"daily_minutes": 45, "calls_per_minute_per_ip": 900}, 45, "daily_minutes_used_up"),
    ],
)
async def test_as_many_are_admitted_as_the_limit_says(
    tmp_path: Path, requests: int, limits: dict[str, int], admitted: int, code: str
) -> None:
    async with running_api(tmp_path) as api:
        key = await api.made("/v1/publishable-keys", name="Widget", allowed_origins=[SITE], limits=limits)
        headers = {"Authorization": f"Bearer {key['key']}", "Origin": SITE}
        with process(tmp_path) as first, process(tmp_path) as second:
            answers = await burst([first, second], [headers] * requests, {"agent_id": api.first.demo_agent_id})
        outcomes = Counter(answer.status_code for answer in answers)
        assert outcomes == {201: admitted, 429: requests - admitted}
        refusals = [answer for answer in answers if answer.status_code == 429]
        assert {answer.json()["error"]["code"] for answer in refusals} == {code}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refusals)
        assert all("ratelimit" in answer.headers and "ratelimit-policy" in answer.headers for answer in answers)
        assert await api.count("calls") == admitted


async def test_a_hundred_with_one_key_make_one_call(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        key = await api.made("/v1/publishable-keys", name="Widget", allowed_origins=[SITE])
        headers = {"Authorization": f"Bearer {key['key']}", "Origin": SITE, "Idempotency-Key": "one"}
        with process(tmp_path) as first, process(tmp_path) as second:
            answers = await burst([first, second], [headers] * 100, {"agent_id": api.first.demo_agent_id})
        outcomes = Counter(answer.status_code for answer in answers)
        assert set(outcomes) <= {201, 409}
        made = [answer.json() for answer in answers if answer.status_code == 201]
        assert len({call["id"] for call in made}) == 1
        assert sum("idempotency-replayed" not in answer.headers for answer in answers if answer.status_code == 201) == 1
        assert await api.count("calls") == 1
