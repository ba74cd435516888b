"""The agent's mouth: from the frames that play to what the turn machine is told, and to the words that were heard."""

from collections.abc import Callable

from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.faults import is_fatal
from oneinbox.live.engine.ports import FRAME_MS, SPOKEN_RATE_HZ, Echo, Playout
from oneinbox.live.engine.reply import Reply
from oneinbox.live.engine.transcript import heard_sentences

SETTLED_FRAMES = 15
"""After 300 ms a reply has begun to be heard; cut before, it has said no word."""
_CAPTION_FRAMES = 10
_PLAYING_FRAMES = 50
_LOW_SAMPLES = 4 * SPOKEN_RATE_HZ
"""With less than this in the queue the next sentences are begun."""


class Mouth:
    """Plays one reply at a time. ``tell`` gets the events.

    ``started`` is called with the first frame of a reply, ``show`` when there are more words to caption.
    """

    def __init__(
        self,
        playout: Playout,
        *,
        now_s: Callable[[], float],
        tell: Callable[[ev.AnyEvent], None],
        started: Callable[[Reply, float], None],
        show: Callable[[Reply, str], None],
        echo: Echo | None = None,
    ) -> None:
        self.reply: Reply | None = None
        self.last_reply: Reply | None = None
        """The reply before."""
        self.first_frame_s: float | None = None
        self.last_frame_s = 0.0
        self.round_starts: dict[int, tuple[float, float]] = {}
        """Of each later round of the reply: when it began to be heard, and when the last word before it ended."""
        self._playout = playout
        self._now_s = now_s
        self._tell = tell
        self._started = started
        self._show = show
        self._echo = echo
        self._base_samples = 0
        self._frames = 0
        self._dry = False
        self._empty = True

    def begin(self, reply: Reply) -> None:
        """Take up a reply; the one before was finished or stopped."""
        self.reply = reply
        self.first_frame_s = None
        self.round_starts = {}
        self._base_samples = self._playout.played_samples
        self._frames = 0
        self._dry = False
        self._empty = True

    def note_written(self) -> None:
        """Audio of the reply was queued."""
        if self.reply is not None and (self._empty or self._dry):
            self._empty = False
            self._tell(ev.Queued(self._now_s(), self.reply.reply_id))

    def stop(self) -> str:
        """Stop the reply at the present sample; return the words that were heard of it."""
        heard = self.heard()
        self._playout.clear()
        self.last_reply, self.reply = self.reply, None
        return heard

    def heard(self) -> str:
        """Return the words of the reply that were heard so far."""
        return " ".join(filter(None, self.heard_rounds()))

    def heard_rounds(self) -> list[str]:
        """Return the same, round by round: what was said before the first tools, before the next, and at the end."""
        reply = self.reply
        if reply is None:
            return []
        rounds: list[list[str]] = [[] for _ in range(reply.rounds)]
        played = self._playout.played_samples - self._base_samples
        for sentence, text in zip(reply.sentences, heard_sentences(reply.sentences, played), strict=False):
            rounds[sentence.round].append(text)
        return [" ".join(filter(None, texts)) for texts in rounds]

    def on_frame(self) -> None:
        """A frame of the reply was played."""
        reply = self.reply
        if reply is None:
            return
        before_s, self.last_frame_s = self.spoken_s, self._now_s()
        self._note_echo()
        self._frames += 1
        if reply.marks:
            self._note_rounds(reply, before_s)
        if self.first_frame_s is None:
            self.first_frame_s = self.last_frame_s
            self._started(reply, self.last_frame_s)
            self._tell(ev.Sounded(self.last_frame_s, reply.reply_id))
        elif self._dry:
            self._dry = False
            self._tell(ev.Sounded(self.last_frame_s, reply.reply_id))
        if self._frames == SETTLED_FRAMES:
            self._tell(ev.Settled(self.last_frame_s, reply.reply_id))
        elif self._frames % _PLAYING_FRAMES == 0:
            self._tell(ev.Playing(self.last_frame_s, reply.reply_id))
        if self.reply is not reply:
            return
        queued = self._playout.queued_samples
        if queued == 0:
            self.look(reply)
        elif self._frames % _CAPTION_FRAMES == 0:
            if self._frames >= SETTLED_FRAMES:
                self._show(reply, self.heard())
            if queued < _LOW_SAMPLES:
                reply.update()

    def _note_rounds(self, reply: Reply, before_s: float) -> None:
        played = self._playout.played_samples - self._base_samples
        for number, samples in reply.marks[len(self.round_starts) :]:
            if played > samples:
                self.round_starts[number] = self.last_frame_s, before_s

    def look(self, reply: Reply) -> None:
        """See whether the reply is over, or has run dry, or has failed before it was taken up."""
        at_s = self._now_s()
        if reply is not self.reply:
            if reply.error is not None:
                self._tell(ev.Failed(at_s, reply.reply_id, reply.error.stage, fatal=is_fatal(reply.error)))
        elif self._playout.queued_samples:
            return
        elif reply.complete:
            if reply.error is not None:
                self._tell(ev.Failed(at_s, reply.reply_id, reply.error.stage, fatal=is_fatal(reply.error)))
            else:
                self._tell(ev.Finished(at_s, reply.reply_id, reply.hang_up))
        elif self._frames and not self._dry:
            self._dry = True
            self._tell(ev.Dry(at_s, reply.reply_id))

    def _note_echo(self) -> None:
        if self._echo is not None:
            self._echo.played(self._playout.last_frame, self.last_frame_s)

    @property
    def spoken_s(self) -> float:
        """When the last frame ended."""
        return self.last_frame_s + FRAME_MS / 1000
