"""The API against its own OpenAPI document, by schemathesis: no server error, and nothing that is not documented.

A few hundred cases here; the whole of 20,000 with::

    ONEINBOX_FUZZ_CASES=20000 .venv/bin/python -m pytest tests/contract/test_schema_fuzz.py --timeout 7200
"""

import os
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.api import BASE_URL, Api

CASES = int(os.environ.get("ONEINBOX_FUZZ_CASES", "600"))
SEED = 20_261_120
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
REQUEST_PARTS = {"method", "url", "headers", "files", "data", "params", "cookies", "json"}
ApiRunner = Callable[[Callable[[Api], Awaitable[None]]], None]


def operations(document: dict[str, Any]) -> list[Any]:
    del document["components"]["securitySchemes"]  # the key is ours to send
    for methods in document["paths"].values():
        for operation in methods.values():
            operation.pop("security", None)
    schema = schemathesis.openapi.from_dict(document)
    return [found.ok() for found in schema.get_all_operations()]


def test_no_case_breaks_the_api_or_its_document(api_runner: ApiRunner) -> None:
    documents: list[dict[str, Any]] = []
    answered: Counter[int] = Counter()

    async def read_document(api: Api) -> None:
        documents.append((await api.client.get("/openapi.json")).json())

    api_runner(read_document)
    found = operations(documents[0])
    each = max(CASES // (2 * len(found)), 1)
    sent = 0
    for operation in found:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @seed(SEED)
            @settings(
                max_examples=each,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.explicit, Phase.generate],
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                nonlocal sent
                sent += 1
                api_runner(lambda api: send(api, case, sent, answered))

            try:
                ask()
            except Exception as error:
                if type(error).__name__ != "Unsatisfiable":  # nothing that does not fit can be sent: no parameters
                    raise
    assert sent > CASES / 3
    assert sum(number for status, number in answered.items() if status < 300) > sent / 20  # some went all the way
    assert answered[422] > sent / 10


async def real_id(api: Api, name: str) -> str | None:
    """Something of this kind that is there; made anew where a case before this one deleted it."""
    made = {
        "agent_id": ("/v1/agents", {"name": "x"}),
        "model_id": ("/v1/models", {"name": "x"}),
        "webhook_id": ("/v1/webhooks", {"name": "x", "url": "https://h.example/", "events": ["call.ended"]}),
        "key_id": ("/v1/publishable-keys", {"name": "x", "allowed_origins": ["*"]}),
        "call_id": ("/v1/calls/web", {"agent_id": api.first.demo_agent_id}),
    }.get(name)
    if made is None:
        return None
    answer = await api.ask("POST", made[0], json=made[1])
    return answer.json().get("id")


async def send(api: Api, case: Any, number: int, answered: Counter[int]) -> None:
    """Send one case with the secret key and hold the answer against the document."""
    if number % 2 == 0:
        for name in case.path_parameters or {}:
            case.path_parameters[name] = await real_id(api, name) or case.path_parameters[name]
    arguments = case.as_transport_kwargs(base_url=BASE_URL)
    asked = requests.Request(**{name: value for name, value in arguments.items() if name in REQUEST_PARTS}).prepare()
    headers = {name: value for name, value in asked.headers.items() if name.lower() != "content-length"}
    try:
        answer = await api.client.request(
            asked.method or "GET",
            str(asked.url),
            headers={**headers, "Authorization": f"Bearer {api.key}"},
            content=asked.body,
        )
    except (httpx.InvalidURL, UnicodeEncodeError):
        return  # no client can send it
    answered[answer.status_code] += 1
    case.validate_response(answer, checks=CHECKS)
