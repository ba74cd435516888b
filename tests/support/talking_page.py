"""A caller in Chromium that a test speaks through, and an ear on what the page plays of the agent.

The microphone is a stream that the page makes itself (Web Audio), so that a test can say something when it hears the agent,
instead of at a second of a file. All from there on is Chromium's own: Opus, RTP, ICE, DTLS.
"""

import base64
from dataclasses import dataclass

from playwright.sync_api import Page

SCRIPT = """
(() => {
  let context, mouth;
  const heard = (window.__heard = []);
  const ready = () => {
    if (!context) {
      context = new AudioContext({ sampleRate: 48000 });
      mouth = context.createGain();
    }
    return context.resume();
  };
  navigator.mediaDevices.getUserMedia = async () => {
    await ready();
    const microphone = context.createMediaStreamDestination();
    mouth.connect(microphone);
    return microphone.stream;
  };
  window.__say = async (encoded) => {
    await ready();
    const bytes = Uint8Array.from(atob(encoded), (one) => one.charCodeAt(0));
    const samples = Float32Array.from(new Int16Array(bytes.buffer), (one) => one / 32768);
    const buffer = context.createBuffer(1, samples.length, 16000);
    buffer.copyToChannel(samples, 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(mouth);
    const from = performance.now();
    await new Promise((done) => { source.onended = done; source.start(); });
    return [from, performance.now()];
  };
  const listen = async (track) => {
    await ready();
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const sound = new Float32Array(1024);
    const timer = setInterval(() => {
      if (track.readyState === "ended") return clearInterval(timer);
      analyser.getFloatTimeDomainData(sound);
      heard.push([performance.now(), Math.sqrt(sound.reduce((sum, x) => sum + x * x, 0) / sound.length)]);
    }, 20);
  };
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      this.addEventListener("track", (event) => event.track.kind === "audio" && listen(event.track));
    }
  };
  window.__level = (ms) => {
    const recent = heard.filter(([at]) => at > performance.now() - ms).map(([, level]) => level);
    return recent.length ? Math.max(...recent) : 0;
  };
})();
"""
LOUD = 0.02
"""Root mean square, 0-1, of 21 ms: the agent's voice is louder somewhere in every half second, silence and a ducked
voice are not."""


@dataclass(frozen=True)
class Stretch:
    """Milliseconds of the page's clock."""

    from_ms: float
    to_ms: float


class TalkingPage:
    """Speaks and listens on a page that was opened with ``SCRIPT``."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def say(self, pcm: bytes) -> Stretch:
        """Play 16 kHz s16le into the microphone to its end; return when."""
        return Stretch(*self.page.evaluate("pcm => __say(pcm)", base64.b64encode(pcm).decode()))

    def now_ms(self) -> float:
        return self.page.evaluate("performance.now()")

    def wait_until_loud(self, limit_ms: float = 20_000) -> float:
        """Wait until the agent is heard; return when."""
        self.page.wait_for_function("level => __level(100) > level", arg=LOUD, timeout=limit_ms, polling=20)
        return self.now_ms()

    def wait_until_quiet(self, quiet_ms: float = 900, limit_ms: float = 40_000) -> float:
        """Wait until nothing was heard of the agent for ``quiet_ms``; return since when."""
        code = "([ms, level]) => __level(ms) < level"
        self.page.wait_for_function(code, arg=[quiet_ms, LOUD], timeout=limit_ms, polling=50)
        return self.now_ms() - quiet_ms

    def wait_ms(self, ms: float) -> None:
        self.page.wait_for_timeout(ms)

    def loudest(self, stretch: Stretch) -> float:
        """Return the loudest 21 ms that were heard within ``stretch``."""
        return max((level for _, level in self._heard(stretch)), default=0.0)

    def loudness(self, stretch: Stretch) -> float:
        """Return the root mean square of what was heard within ``stretch``."""
        levels = [level for _, level in self._heard(stretch)]
        return (sum(level * level for level in levels) / len(levels)) ** 0.5 if levels else 0.0

    def loud_stretches(self, stretch: Stretch, *, apart_ms: float) -> list[Stretch]:
        """Return when the agent was heard within ``stretch``; what is no more than ``apart_ms`` apart is one."""
        found: list[Stretch] = []
        for at_ms, level in self._heard(stretch):
            if level < LOUD:
                continue
            if found and at_ms - found[-1].to_ms <= apart_ms:
                found[-1] = Stretch(found[-1].from_ms, at_ms)
            else:
                found.append(Stretch(at_ms, at_ms))
        return found

    def longest_quiet_ms(self, stretch: Stretch) -> float:
        """Return the longest time within ``stretch`` in which nothing was heard of the agent."""
        longest, since_ms = 0.0, stretch.from_ms
        for at_ms, level in self._heard(stretch):
            if level > LOUD:
                since_ms = at_ms
            longest = max(longest, at_ms - since_ms)
        return longest

    def _heard(self, stretch: Stretch) -> list[tuple[float, float]]:
        code = "([from, to]) => __heard.filter(([at]) => at >= from && at <= to)"
        return [(at, level) for at, level in self.page.evaluate(code, [stretch.from_ms, stretch.to_ms])]
