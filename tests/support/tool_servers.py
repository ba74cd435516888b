"""Servers that tools ask, without a network: every request is written down, and answered by the test."""

import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from oneinbox.core.outbound import AddressPolicy
from oneinbox.live.tools.asking import Web
from oneinbox.net.outbound import OutboundGuard

Answers = Callable[[httpx.Request], httpx.Response]


@dataclass
class Servers:
    """All servers of the world. ``answer`` answers, or raises what the network would."""

    answer: Answers = lambda _: httpx.Response(200, json={"ok": True})
    requests: list[httpx.Request] = field(default_factory=list[httpx.Request])
    addresses: Sequence[str] = ("93.184.215.14",)

    def web(self, *allowed: str) -> Web:
        async def resolve(host: str, port: int) -> Sequence[str]:
            return self.addresses

        def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return self.answer(request)

        policy = AddressPolicy.allowing(allowed)
        guard = OutboundGuard(policy, resolver=resolve, transport=httpx.MockTransport(handle))
        return Web(guard, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]

    def body(self, at: int = -1) -> Any:
        return json.loads(self.requests[at].content)


def one_after_the_other(*answers: httpx.Response | Exception) -> Answers:
    """Answer the first request with the first of these, and so on."""
    left = iter(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    return answer
