"""Composition of the HTTP side: the API, the signalling sockets, the pages, and the server that carries them."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

import msgspec
import uvicorn
from fastapi import FastAPI

from oneinbox.api.accounts.service import create_sign_in_link
from oneinbox.api.app import create_app
from oneinbox.api.calls.keeper import CallKeeper
from oneinbox.api.calls.recorder import Recorder
from oneinbox.api.config import ApiConfig, StageDefault, StageDefaults, StoreAddress
from oneinbox.api.db.database import Database, open_database
from oneinbox.api.first_run import FirstRun, ensure_first_organisation
from oneinbox.api.knowledge.ingest import Ingestor
from oneinbox.api.knowledge.search import KnowledgeSearch
from oneinbox.api.recordings.keeper import RecordingKeeper
from oneinbox.api.webhooks.deliverer import Deliverer
from oneinbox.api.webhooks.sender import Sender
from oneinbox.api.webhooks.signing import SigningSecrets
from oneinbox.core.errors import Stage
from oneinbox.core.events import EndReason
from oneinbox.core.ids import new_id
from oneinbox.core.loop_watch import LoopWatch
from oneinbox.core.outbound import AddressPolicy
from oneinbox.core.tasks import TaskScope
from oneinbox.net.outbound import OutboundGuard
from oneinbox.server.connections import Waiting, patient_http
from oneinbox.server.metrics import Snapshot
from oneinbox.server.metrics_route import metrics_route
from oneinbox.server.pages import page_routes
from oneinbox.server.request_figures import CountRequests, RequestFigures
from oneinbox.server.settings import Secrets, Settings, load_secrets
from oneinbox.server.sockets import socket_routes
from oneinbox.server.worker_configuration import TOKEN_ISSUER
from oneinbox.server.workers import WorkerPool


class Composed(msgspec.Struct, frozen=True):
    """The application and what the start-up needs of it."""

    app: FastAPI
    config: ApiConfig
    database: Database
    first_run: FirstRun
    watch: LoopWatch
    """To be started when the start-up is over: nobody waits for what blocks the loop before."""

    async def make_sign_in_token(self) -> str:
        """Return a fresh token for the one-use sign-in link."""
        return (await create_sign_in_link(self.database, minutes=self.config.sign_in_link_minutes)).token


def api_config(settings: Settings, secrets: Secrets) -> ApiConfig:
    """Return what the API is told of the settings."""
    stages = {
        stage: StageDefault(base_url=one.base_url, api_key=one.api_key, model=one.model, voice=one.voice)
        for stage, one in settings.stages.items()
    }
    return ApiConfig(
        token_secret=secrets.participant_tokens,
        token_issuer=TOKEN_ISSUER,
        session_secret=secrets.sessions,
        credential_keys=lambda: load_secrets(settings.data_path).credentials,
        outbound=AddressPolicy.allowing(settings.allowed_private_networks),
        public_url=settings.public_url,
        join_ttl_s=int(settings.join_timeout_s),
        stages=StageDefaults(stt=stages.get(Stage.STT), llm=stages.get(Stage.LLM), tts=stages.get(Stage.TTS)),
        allow_insecure_origins=settings.allow_insecure_origins,
        server_id=_server_id(settings),
        sign_up_enabled=_takes_sign_ups(settings),
        recordings_dir=settings.recordings_path,
        recordings_store=_recordings_store(settings),
    )


def _recordings_store(settings: Settings) -> StoreAddress | None:
    if settings.recordings_store is None:
        return None
    return StoreAddress(
        url=settings.recordings_store,
        key_id=settings.recordings_store_key_id or "",
        secret=settings.recordings_store_secret or "",
        region=settings.recordings_store_region,
        public_url=settings.recordings_store_public_url,
    )


def _recordings_origin(config: ApiConfig) -> str | None:
    store = config.recordings_store
    if store is None:
        return None
    parts = urlsplit(store.public_url or store.url)
    return f"{parts.scheme}://{parts.netloc}"


def _takes_sign_ups(settings: Settings) -> bool:
    """An account may use the operator's models: where others reach the server, the operator has to allow it."""
    if settings.sign_up_enabled is not None:
        return settings.sign_up_enabled
    return settings.public_url is None and settings.host in ("127.0.0.1", "::1", "localhost")


def _server_id(settings: Settings) -> str | None:
    """Which of several servers on one Postgres this is: kept in the data directory, which only one can hold."""
    if settings.database_url is None:
        return None
    path = settings.data_path / "server-id"
    if not path.exists():
        settings.data_path.mkdir(parents=True, exist_ok=True)
        path.write_text(new_id("srv"), encoding="ascii")
    return path.read_text(encoding="ascii").strip()


@asynccontextmanager
async def compose(settings: Settings, secrets: Secrets, pool: WorkerPool) -> AsyncGenerator[Composed]:
    """Open the database, close what a dead server left open, and put the application together."""
    database = await open_database(data_dir=settings.data_path, url=settings.database_url)
    config = api_config(settings, secrets)
    ingestor = Ingestor(database, OutboundGuard(config.outbound))
    deliverer = Deliverer(database, Sender(OutboundGuard(config.outbound)), SigningSecrets(config.session_secret))
    recorder = Recorder(database, config.server_id)
    keeper = CallKeeper(database, pool, recorder, config.server_id)
    recordings = RecordingKeeper(database, config)
    requests, watch = RequestFigures(), LoopWatch()

    async def read_metrics() -> Snapshot:
        return Snapshot(
            workers=pool.workers,
            draining=pool.draining,
            calls=pool.figures,
            requests=requests,
            server_loop=watch.load(),
            webhook_backlog=await deliverer.backlog(),
        )

    try:
        await recorder.fail_all_open(EndReason.SERVER_LOST)
        pool.record_into(recorder)
        pool.search_in(KnowledgeSearch(database))
        await keeper.start()
        first_run = await ensure_first_organisation(database)
        app = create_app(config, database, pool)
        app.include_router(socket_routes(pool, secrets.participant_tokens))
        app.include_router(metrics_route(settings, read_metrics))
        app.include_router(page_routes(recordings_origin=_recordings_origin(config)))  # last: it takes every path
        app.add_middleware(CountRequests, figures=requests)
        deliverer.start()
        recordings.start()
        ingestor.start()
        yield Composed(app, config, database, first_run, watch)
    finally:
        watch.stop()
        await pool.aclose()  # what the workers still say goes into the database
        await keeper.aclose()
        await recordings.aclose()
        await ingestor.aclose()
        await deliverer.aclose()
        await database.aclose()


class _Uvicorn(uvicorn.Server):
    """Uvicorn without its own signal handling: the start-up decides the order in which things end."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals alone."""
        yield


class HttpServer:
    """Serves an application on a socket that is already bound."""

    def __init__(self, app: FastAPI, listener: socket.socket, *, max_message_bytes: int) -> None:
        config = uvicorn.Config(
            app,
            loop="none",
            http=patient_http(Waiting()),
            ws="websockets-sansio",
            ws_max_size=max_message_bytes,
            ws_per_message_deflate=False,
            lifespan="off",
            access_log=False,  # addresses of the signalling sockets hold tokens
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = _Uvicorn(config)
        self._listener = listener
        self._scope = TaskScope("http")
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when requests are answered."""
        self._serving = self._scope.spawn(self._server.serve(sockets=[self._listener]), "serve")
        while not self._server.started:
            if self._serving.done():
                raise RuntimeError("the HTTP server ended while it was starting")
            await asyncio.sleep(0.005)

    async def aclose(self, limit_s: float) -> None:
        """Stop taking requests; let running ones end, at most for ``limit_s``."""
        self._server.should_exit = True
        if self._serving is not None:
            await asyncio.wait({self._serving}, timeout=limit_s)
        await self._scope.aclose()
