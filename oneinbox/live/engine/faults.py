"""The edge between the engine and the providers: every stream is watched, and every failure becomes a ``ProviderError``."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

import msgspec

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage

_log = logging.getLogger(__name__)

Item = TypeVar("Item")

FATAL_KINDS = (ProviderErrorKind.AUTH,)
"""What will fail again however often it is tried: the call ends, with an apology."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long providers may take, in seconds."""

    first_token_s: float = 8.0
    first_audio_s: float = 5.0
    stall_s: float = 5.0
    """Between two pieces of a stream."""
    prepare_s: float = 10.0


def is_fatal(error: ProviderError) -> bool:
    """Whether the provider will fail again however often it is asked."""
    return error.kind in FATAL_KINDS and not error.retryable


async def watched(
    stream: AsyncIterator[Item],
    *,
    provider: str,
    stage: Stage,
    first_s: float | None,
    stall_s: float | None,
) -> AsyncGenerator[Item, None]:
    """Yield what ``stream`` yields; raise ``ProviderError`` for whatever goes wrong with it, also for its silence.

    ``first_s`` and ``stall_s`` limit the wait for the first piece and for each later one; None: no limit.
    """
    limit_s = first_s
    try:
        while True:
            try:
                async with asyncio.timeout(limit_s):
                    item = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                detail = f"nothing came for {limit_s:g} s"
                raise ProviderError(provider, stage, ProviderErrorKind.TIMEOUT, detail, retryable=True) from None
            except ProviderError:
                raise
            except Exception as error:  # an adapter's bug must cost a reply, not the call
                _log.exception("the %s adapter %s failed", stage, provider)
                detail = f"adapter failed: {type(error).__name__}"
                raise ProviderError(provider, stage, ProviderErrorKind.PROTOCOL, detail, retryable=True) from error
            limit_s = stall_s
            yield item
    finally:
        # generators have it, plain iterators need not
        close = cast("Callable[[], Awaitable[None]] | None", getattr(stream, "aclose", None))
        if close is not None:
            await close()


async def warmed(prepare: Callable[[], Coroutine[Any, Any, None]], stage: Stage) -> None:
    """Warm a provider up; what fails will fail again, and be reported, when it is needed."""
    try:
        await prepare()
    except ProviderError as error:
        _log.warning("%s", error)
    except Exception:  # noqa: BLE001 - an adapter's bug must not keep the call from being tried
        _log.exception("warming up the %s adapter failed", stage)
