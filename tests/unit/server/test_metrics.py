"""``/metrics``: who may read it, that it can be read, and that its names are those documented."""

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from oneinbox.api.http.errors import answer_app_error
from oneinbox.core.errors import AppError
from oneinbox.core.events import CallEnded, EndReason, LatencyMeasured, ProviderFailed
from oneinbox.core.load import LATENESS_BOUNDS_S, Histogram, Traffic
from oneinbox.server.admission import WorkerGauge
from oneinbox.server.figures import CallFigures
from oneinbox.server.metrics import Snapshot
from oneinbox.server.metrics_route import metrics_route
from oneinbox.server.request_figures import CountRequests, RequestFigures
from oneinbox.server.settings import Settings
from oneinbox.server.worker_process import WorkerProcess
from tests.support.loads import make_load

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "reference" / "metrics.md"
TOKEN = "a-token-for-metrics"


def worker(number: int, **load: Any) -> WorkerProcess:
    gauge = WorkerGauge()
    gauge.report(make_load(**load), 1.0)
    held = {f"call_{index}": "room" for index in range(load.get("calls", 0))}
    found = SimpleNamespace(worker_id=f"worker-{number}", calls=held, ready=True, leaving=False, gauge=gauge)
    return cast("WorkerProcess", found)


def snapshot(requests: RequestFigures | None = None) -> Snapshot:
    calls = CallFigures()
    for event in (
        CallEnded(call_id="call_1", reason=EndReason.USER_HANGUP, duration_s=12.5),
        LatencyMeasured(call_id="call_1", part="perceived", turn=1, ms=640),
        LatencyMeasured(call_id="call_1", part="tool:of a caller's naming", turn=1, ms=640),
        ProviderFailed(call_id="call_1", provider="p", stage="llm", kind="timeout", detail="x"),
    ):
        calls.count(event)
    late = Histogram(LATENESS_BOUNDS_S)
    for value in (0.0005, 0.015, 0.7):
        late.observe(value)
    traffic = Traffic(packets_received=90, packets_missing=10, packets_late=4)
    if requests is None:
        requests = RequestFigures()
        requests.count("GET", "/v1/health", 200, 0.002)
    return Snapshot(
        workers=[worker(0, calls=3, active_calls=2, cpu_s=1.5, lateness=late, traffic=traffic), worker(1, blocks=2)],
        draining=False,
        calls=calls,
        requests=requests,
        server_loop=make_load(blocks=1).loop,
        webhook_backlog=(7, 30.5),
    )


def app(settings: Settings, requests: RequestFigures | None = None) -> FastAPI:
    made = FastAPI()

    async def read() -> Snapshot:
        return snapshot(requests)

    made.include_router(metrics_route(settings, read))
    made.add_exception_handler(AppError, answer_app_error)
    return made


async def get(
    settings: Settings, *, client: str = "127.0.0.1", headers: dict[str, str] | None = None
) -> httpx.Response:
    transport = httpx.ASGITransport(app=app(settings), client=(client, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        return await http.get("/metrics", headers=headers)


def values(families: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


# ---- what it says


async def test_both_formats_can_be_read_and_say_the_same() -> None:
    plain = await get(Settings())
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    told = values(read_text(plain.text))
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    modern = await get(Settings(), headers=accept)
    assert modern.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    same = values(read_openmetrics(modern.text))
    own = {key for key in told if key[0].startswith(("oneinbox_server_", "oneinbox_build"))}
    assert {key: value for key, value in told.items() if key not in own} == {
        key: value for key, value in same.items() if key not in own
    }
    assert own <= same.keys()


async def test_the_figures_are_those_that_were_measured() -> None:
    told = values(read_text((await get(Settings())).text))

    def of(name: str, **labels: str) -> float:
        return told[f"oneinbox_{name}", tuple(sorted(labels.items()))]

    assert of("calls_live", worker="worker-0") == 3
    assert of("calls_active", worker="worker-0") == 2
    assert of("calls_ended_total", reason="user_hangup") == 1
    assert of("calls_ended_total", reason="worker_lost") == 0
    assert of("calls_refused_total", code="server_full") == 0
    assert of("call_duration_seconds_sum") == 12.5
    assert of("call_duration_seconds_bucket", le="15.0") == 1
    assert of("call_duration_seconds_bucket", le="5.0") == 0
    assert of("turn_latency_seconds_count", part="perceived") == 1
    assert of("provider_failures_total", stage="llm", kind="timeout") == 1
    assert [
        of("tick_lateness_seconds_bucket", worker="worker-0", le=le) for le in ("0.001", "0.02", "0.5", "+Inf")
    ] == [
        1,
        2,
        2,
        3,
    ]
    assert of("media_packets_received_total", worker="worker-0") == 90
    assert of("media_packets_missing_total", worker="worker-0") == 10
    assert of("media_packets_late_total", worker="worker-0") == 4
    assert of("loop_blocks_total", process="worker-1") == 2
    assert of("loop_blocks_total", process="server") == 1
    assert of("webhook_backlog") == 7
    assert of("http_requests_total", method="GET", route="/v1/health", status="200") == 1
    assert of("server_resident_memory_bytes") > 1e6


async def test_every_name_is_documented_with_its_labels_and_every_documented_name_exists() -> None:
    rows = re.findall(r"^\| `(oneinbox_\w+)` \| (\w+) \| (.*?) \| .+ \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    documented = {name: (kind, frozenset(re.findall(r"\w+", labels))) for name, kind, labels in rows}
    assert len(documented) == len(rows) > 30
    exist = {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels) - {"le"},
        )
        for family in snapshot().collect()
    }
    assert exist == documented


async def test_no_label_is_a_callers_word() -> None:
    text = (await get(Settings())).text
    assert "call_1" not in text
    assert "naming" not in text


# ---- who may read it


@pytest.mark.parametrize(
    ("settings", "client", "sent", "status"),
    [
        ({}, "127.0.0.1", None, 200),
        ({}, "::1", None, 200),
        ({}, "::ffff:127.0.0.1", None, 200),
        ({}, "192.0.2.1", None, 403),
        ({}, "testclient", None, 403),
        ({"public_url": "https://talk.example"}, "127.0.0.1", None, 403),
        ({"public_url": "https://talk.example", "metrics_token": TOKEN}, "127.0.0.1", TOKEN, 200),
        ({"metrics_allowed_networks": ("10.1.0.0/16",)}, "10.1.2.3", None, 200),
        ({"metrics_allowed_networks": ("10.1.0.0/16",)}, "10.2.2.3", None, 403),
        ({"metrics_allowed_networks": ("10.1.0.0/16",)}, "127.0.0.1", None, 403),
        ({"metrics_allowed_networks": ()}, "127.0.0.1", None, 403),
        ({"metrics_token": TOKEN}, "192.0.2.1", TOKEN, 200),
        ({"metrics_token": TOKEN}, "192.0.2.1", TOKEN + "x", 403),
        ({"metrics_token": TOKEN}, "192.0.2.1", "é", 403),
        ({"metrics_token": TOKEN}, "192.0.2.1", None, 403),
    ],
)
async def test_who_may_read_it(settings: dict[str, Any], client: str, sent: str | None, status: int) -> None:
    headers = {} if sent is None else {"Authorization": f"Bearer {sent}".encode()}
    answer = await get(Settings(**settings), client=client, headers=cast("dict[str, str]", headers))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "metrics_not_allowed"
        assert "oneinbox_build" not in answer.text


# ---- requests


async def test_requests_are_counted_by_template_method_and_status() -> None:
    figures = RequestFigures()
    made = FastAPI()

    @made.get("/v1/things/{thing_id}")
    async def thing(thing_id: str) -> dict[str, str]:
        if thing_id == "bad":
            raise ValueError(thing_id)
        return {"id": thing_id}

    made.add_middleware(CountRequests, figures=figures)
    transport = httpx.ASGITransport(app=made, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        for path in ("/v1/things/1", "/v1/things/2", "/v1/things/bad", "/v1/nothing/3", "/" + "x" * 3000):
            await http.get(path)
        await http.request("BREW", "/v1/things/1")
    template = "/v1/things/{thing_id}"
    assert figures.requests["GET", template, 200] == 2
    assert figures.requests["GET", "unmatched", 404] == 2
    assert sum(figures.durations["GET", template].state().counts) == 3
    methods = {method for method, _, _ in figures.requests}
    assert methods == {"GET", "other"}
    assert {route for _, route, _ in figures.requests} <= {template, "unmatched"}


async def test_a_client_that_leaves_is_counted_as_such() -> None:
    figures = RequestFigures()

    async def hang(*_: object) -> None:
        await asyncio.sleep(3600)

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": []}
    task = asyncio.get_running_loop().create_task(CountRequests(hang, figures)(scope, hang, hang))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert figures.requests == {("GET", "unmatched", 499): 1}
