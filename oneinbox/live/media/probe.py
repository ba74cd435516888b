"""A call that is none: a room in which a tone sounds, for whoever checks whether browsers can reach the media."""

import asyncio
from typing import Protocol

import numpy as np

from oneinbox.live.audio.playout import RATE_HZ
from oneinbox.live.media.leg import LegListener, MediaLeg

LIFE_S = 30.0
_TONE_HZ, _TONE_S, _LEVEL = 440, 10, 6000


class Rooms(Protocol):
    """Where legs come from."""

    def open_leg(self, *, room_name: str, identity: str, agent_name: str, listener: LegListener) -> MediaLeg:
        """Make the leg that ``identity`` will join; raises ``ValueError`` where the room has one."""
        ...


class Probe:
    """One such room. It fulfils :class:`LegListener`, and ends when its visitor leaves, at the latest after 30 s."""

    def __init__(self, rooms: Rooms, *, room_name: str, identity: str) -> None:
        self._over = asyncio.Event()
        self._leg = rooms.open_leg(room_name=room_name, identity=identity, agent_name="Probe", listener=self)
        at_s = np.arange(_TONE_S * RATE_HZ) / RATE_HZ
        self._leg.playout.write((_LEVEL * np.sin(2 * np.pi * _TONE_HZ * at_s)).astype("<i2").tobytes())

    async def run(self) -> None:
        """Wait for the end."""
        try:
            await asyncio.wait_for(self._over.wait(), LIFE_S)
        except TimeoutError:
            pass  # a visitor who stays is shown out
        finally:
            await self._leg.aclose()

    def on_joined(self) -> None:
        """The visitor is there."""

    def on_active(self) -> None:
        """Two-way audio stands: the page is told, for it knows only of its own half."""
        self._leg.send_event("probe", {"heard": True})

    def on_audio(self, pcm: bytes) -> None:
        """The visitor's microphone: nobody listens."""

    def on_text(self, text: str) -> None:
        """What the visitor typed: nobody reads."""

    def on_left(self, *, said_goodbye: bool) -> None:
        """The visitor is gone."""
        del said_goodbye
        self._over.set()
