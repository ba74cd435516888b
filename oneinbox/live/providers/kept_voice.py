"""A voice that keeps what it says in every call (greetings, fixed lines), for all calls of the worker that sound the same."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import cast

import msgspec

from oneinbox.core.spec import CallSpec
from oneinbox.core.tasks import TaskScope
from oneinbox.live.audio.clips import ClipShelf, make_clip
from oneinbox.live.engine.ports import Tts, WordSpoken


class KeptVoice(Tts):
    """Speaks as ``tts`` does. What it said to its end, and ``keeps`` allows, is said from the shelf the next time."""

    def __init__(
        self, tts: Tts, spec: CallSpec, shelf: ClipShelf, scope: TaskScope, keeps: Callable[[str], bool]
    ) -> None:
        self.voice = tts
        self._shelf = shelf
        self._scope = scope
        self._keeps = keeps
        # Everything that the sound depends on, and whose it is: nothing of one organisation is ever played to another.
        self._voice = msgspec.json.encode((spec.org_id, spec.tts))

    async def prepare(self) -> None:
        """Warm up."""
        await self.voice.prepare()

    async def speak(self, text: str) -> AsyncIterator[bytes | WordSpoken]:
        """Stream the audio: one clip where it is kept, else as it is made."""
        key = hashlib.sha256(self._voice + b"\0" + text.encode()).digest()
        clip = self._shelf.get(key)
        if clip is not None:
            yield clip
            return
        said: list[bytes] | None = [] if self._keeps(text) else None
        async with aclosing(cast("AsyncGenerator[bytes | WordSpoken]", self.voice.speak(text))) as stream:
            async for piece in stream:
                if said is not None and not isinstance(piece, WordSpoken):
                    said.append(piece)  # without the timings: what is kept is rarely cut short
                yield piece
        if said:
            self._scope.spawn(self._keep(key, b"".join(said)), "keep clip")

    async def _keep(self, key: bytes, pcm: bytes) -> None:
        if self._shelf.get(key) is None and len(pcm) % 2 == 0:
            self._shelf.put(key, await asyncio.to_thread(make_clip, pcm))
