"""A WAV file for Chromium's fake microphone: what a caller says, and when."""

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from playwright.sync_api import Page

RATE_HZ = 16_000
_TAIL_S = 120.0
"""Silence behind the last word: Chromium takes the end of the file for the end of the device."""

LISTEN_SCRIPT = """
(() => {
  const Native = window.RTCPeerConnection;
  const made = (window.__peers = []);
  window.RTCPeerConnection = class extends Native {
    constructor(...args) { super(...args); made.push(this); }
  };
  window.__received = async () => {
    for (const peer of made) {
      const stats = await peer.getStats();
      for (const one of stats.values())
        if (one.type === "inbound-rtp" && one.kind === "audio")
          return { energy: one.totalAudioEnergy, seconds: one.totalSamplesDuration, lost: one.packetsLost };
    }
    return null;
  };
})();
"""
"""Lets a test ask what audio the page has received (https://www.w3.org/TR/webrtc-stats/#inboundrtpstats-dict*)."""


def write_microphone(path: Path, said: Sequence[tuple[float, bytes]]) -> Path:
    """Write what is said, each at its second from the opening of the microphone (16 kHz mono s16le)."""
    length_s = max(at_s + len(pcm) / 2 / RATE_HZ for at_s, pcm in said) + _TAIL_S
    samples = np.zeros(int(length_s * RATE_HZ), np.int16)
    for at_s, pcm in said:
        start = int(at_s * RATE_HZ)
        spoken = np.frombuffer(pcm, np.int16)
        samples[start : start + len(spoken)] = spoken
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())
    return path


class Loudness:
    """How loud the audio was that the page received, stretch by stretch."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._energy, self._seconds = self._read()

    def _read(self) -> tuple[float, float]:
        got = self._page.evaluate("window.__received()") or {"energy": 0.0, "seconds": 0.0}
        return got["energy"], got["seconds"]

    def since_last(self) -> float:
        """Root mean square, 0-1, of what was received since the last time this was asked."""
        energy, seconds = self._read()
        more, length = energy - self._energy, seconds - self._seconds
        self._energy, self._seconds = energy, seconds
        return (more / length) ** 0.5 if length > 0 else 0.0
