"""The API as one FastAPI application. The server adds its pages and sockets to it."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oneinbox import __version__
from oneinbox.api.accounts.routes import account_routes, organisation_routes
from oneinbox.api.accounts.service import AccountService
from oneinbox.api.accounts.sign_up import SignUpService
from oneinbox.api.agents.routes import agent_routes
from oneinbox.api.agents.service import AgentService
from oneinbox.api.audit.routes import audit_routes
from oneinbox.api.audit.service import AuditService
from oneinbox.api.calls.connection_test import TEST_PATH, connection_test_routes
from oneinbox.api.calls.dispatcher import Dispatcher
from oneinbox.api.calls.routes import TOKEN_PATH, PageGuard, add_start_routes, call_routes
from oneinbox.api.calls.service import CallService
from oneinbox.api.calls.start import CallStarter
from oneinbox.api.calls.supplies import Storeroom
from oneinbox.api.config import ApiConfig
from oneinbox.api.db.database import Database
from oneinbox.api.db.vault import Vault
from oneinbox.api.first_run import add_demo_agent
from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.context import LastResort, RequestId
from oneinbox.api.http.cors import CrossOriginRoute
from oneinbox.api.http.documented import ErrorAnswer
from oneinbox.api.http.errors import answer_app_error, answer_http_error, answer_validation_error
from oneinbox.api.http.own_origin import OwnOrigin
from oneinbox.api.idempotency.store import IdempotencyStore
from oneinbox.api.integrations.routes import integration_routes
from oneinbox.api.integrations.service import CredentialService
from oneinbox.api.keys.origins import parse_sent_origin
from oneinbox.api.keys.routes import key_routes, secret_key_routes
from oneinbox.api.keys.secret_keys import SecretKeyService
from oneinbox.api.keys.service import KeyService, origin_not_allowed
from oneinbox.api.knowledge.routes import knowledge_routes
from oneinbox.api.knowledge.service import KnowledgeService
from oneinbox.api.models.routes import model_routes
from oneinbox.api.models.service import ModelService
from oneinbox.api.phone.routes import phone_routes
from oneinbox.api.phone.service import PhoneService
from oneinbox.api.recordings.links import RecordingLinks
from oneinbox.api.recordings.routes import recording_routes
from oneinbox.api.tools.routes import tool_routes
from oneinbox.api.tools.service import ToolService
from oneinbox.api.usage.routes import usage_routes
from oneinbox.api.usage.service import UsageService
from oneinbox.api.voices.routes import voice_routes
from oneinbox.api.voices.service import VoiceService
from oneinbox.api.webhooks.routes import webhook_routes
from oneinbox.api.webhooks.service import WebhookService
from oneinbox.api.workspace.routes import workspace_routes
from oneinbox.api.workspace.service import OutcomeService
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.net.outbound import OutboundGuard

_log = logging.getLogger(__name__)

_DESCRIPTION = "Agents that talk with people. Errors: docs/reference/errors.md."


class Health(BaseModel):
    """The server is up."""

    status: Literal["ok", "draining"] = Field(description="`draining`: being stopped, while its calls finish.")
    version: str


class Credentials:
    """Tells the HTTP toolbox whose credentials are whose: keys know secret keys, accounts know sessions."""

    def __init__(self, keys: KeyService, accounts: AccountService) -> None:
        self._keys = keys
        self._accounts = accounts

    async def by_secret_key(self, key: str) -> Caller | None:
        """Return whose secret key this is."""
        return await self._keys.by_secret_key(key)

    async def by_session(self, token: str) -> Caller | None:
        """Return whose session this token stands for."""
        return await self._accounts.by_session(token)


def create_app(config: ApiConfig, database: Database, dispatcher: Dispatcher) -> FastAPI:
    """Return the API, every route and error answer in place. It opens nothing and closes nothing."""
    app = FastAPI(
        title="OneInbox",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # its page would load scripts from a foreign host
        redoc_url=None,
        openapi_url=None,  # written by a thread, see below: it takes a good part of a second
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.max_body_bytes = config.max_body_bytes
    app.state.answers = IdempotencyStore(database, config.session_secret)
    own = OwnOrigin(config.public_url)
    keys = KeyService(database, config)
    accounts = AccountService(database, config)
    outbound = OutboundGuard(config.outbound)
    guard = Guard(Credentials(keys, accounts), own, config.session_secret)
    vault = Vault(config.credential_keys)
    credentials = CredentialService(database, vault, outbound)
    tools = ToolService(database, vault, outbound, credentials)
    # Routes are tried in this order: calls come first, being asked for most.
    starter = CallStarter(database, dispatcher, config, outbound, Storeroom(database, credentials, tools))
    page_guard = PageGuard(keys, config.session_secret)
    links = RecordingLinks(config)
    add_start_routes(app.router, starter, guard, page_guard, own)
    app.include_router(connection_test_routes(config, guard, page_guard, own))
    app.include_router(call_routes(CallService(database, dispatcher, config, links), guard, own))
    app.include_router(recording_routes(database, links, config.recordings_dir))
    app.include_router(_health_routes(dispatcher))
    sign_ups = SignUpService(database, config, accounts, add_demo_agent)
    app.include_router(account_routes(accounts, sign_ups, guard, own))
    app.include_router(organisation_routes(accounts, guard))
    app.include_router(key_routes(keys, guard))
    app.include_router(secret_key_routes(SecretKeyService(database), guard))
    app.include_router(integration_routes(credentials, guard))
    app.include_router(voice_routes(VoiceService(database), guard))
    app.include_router(tool_routes(tools, guard))
    app.include_router(knowledge_routes(KnowledgeService(database, outbound), guard))
    app.include_router(workspace_routes(OutcomeService(database), guard))
    app.include_router(phone_routes(PhoneService(database, vault, outbound), guard))
    app.include_router(model_routes(ModelService(database, outbound), guard))
    app.include_router(agent_routes(AgentService(database, config), guard))
    app.include_router(webhook_routes(WebhookService(database, config, outbound), guard))
    app.include_router(usage_routes(UsageService(database), guard))
    app.include_router(audit_routes(AuditService(database), guard))
    app.add_api_route("/openapi.json", _document_route(app), include_in_schema=False)
    app.state.api_routes = list(_routes_of(app.router))  # without the server's pages, which take every path
    app.add_exception_handler(AppError, answer_app_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(RequestValidationError, answer_validation_error)
    app.add_exception_handler(OperationalError, _answer_busy_database)
    app.add_exception_handler(PoolTimeoutError, _answer_busy_database)
    # From the inside out: a failure is answered, the answer marked for other origins, and given its id.
    app.add_middleware(LastResort)
    for path in (TOKEN_PATH, TEST_PATH):
        app.add_middleware(CrossOriginRoute, path=path, may_read=_may_read, refuse=origin_not_allowed)
    app.add_middleware(RequestId)
    return app


def _operation_id(route: APIRoute) -> str:
    """What generated clients call the operation: the function's own name."""
    return route.name


def _routes_of(router: APIRouter) -> Iterator[APIRoute]:
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(inner := getattr(route, "original_router", None), APIRouter):
            yield from _routes_of(inner)


def _document_route(app: FastAPI) -> Callable[[], JSONResponse]:
    def openapi_document() -> JSONResponse:
        """The OpenAPI document. Not a coroutine: making it would hold up every other request."""
        return JSONResponse(app.openapi())

    return openapi_document


def _health_routes(dispatcher: Dispatcher) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/v1/health")
    async def health() -> Health:
        """Say that the server is up. Needs no key."""
        return Health(status="draining" if dispatcher.draining else "ok", version=__version__)

    @router.get(
        "/v1/health/ready",
        responses={503: {"model": ErrorAnswer, "description": "A new call would be refused; the error says why."}},
    )
    async def ready() -> Health:
        """Say whether a new call would be taken, for a load balancer. Needs no key."""
        if (why := dispatcher.why_not_ready()) is not None:
            raise why
        return await health()

    return router


def _may_read(values: Sequence[str]) -> bool:
    """Any true origin; and ``null``, which is always refused, and is to see why."""
    return parse_sent_origin(values) is not None or list(values) == ["null"]


async def _answer_busy_database(request: Request, error: Exception) -> Response:
    """Another process holds the database for longer than we wait (a backup, a migration), or it is away."""
    _log.error("the database refuses: %s", error)
    busy = AppError(
        "database_unavailable",
        "the database cannot be used just now; try again",
        ErrorKind.UNAVAILABLE,
        retry_after_s=1,
    )
    return await answer_app_error(request, busy)
