"""A user's own model server: reached at the addresses that were judged, whatever its name resolves to."""

import msgspec
import pytest

from oneinbox.core.errors import ProviderError
from tests.support.openai_calls import KEY, hub, make_spec, reply_text
from tests.support.openai_script import Script
from tests.support.openai_wire import OpenAiWire

NAME = "models.example.invalid"
"""Resolves nowhere: only the addresses of the spec can lead to the server."""


async def test_the_name_is_not_looked_up_again() -> None:
    async with OpenAiWire(Script(replies={"hi": "Hello."})) as wire, hub() as providers:
        port = wire.base_url.rsplit(":", 1)[1]  # "49152/v1"
        spec = make_spec(f"http://{NAME}:{port}")
        pinned = msgspec.structs.replace(
            spec, llm=msgspec.structs.replace(spec.llm, addresses=("127.0.0.2", "127.0.0.1"))
        )
        for _ in range(2):  # the second time over the same client
            assert await reply_text(providers.for_call(pinned).llm, "hi") == "Hello."
        assert [request.stage for request in wire.requests] == ["llm", "llm"]
        with pytest.raises(ProviderError) as failure:
            await reply_text(providers.for_call(spec).llm, "hi")
        assert KEY not in str(failure.value)
