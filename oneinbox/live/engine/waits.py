"""The waits: what the turn machine does when nothing happens (see the laws in ``turns.py``). Pure, like the machine."""

from collections import deque

from oneinbox.core.errors import Stage
from oneinbox.core.events import EndReason
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.floor import Floor, TurnSettings
from oneinbox.live.engine.sides import EPSILON_S, NEVER_S, OnMove
from oneinbox.live.engine.turn_table import Agent, Caller, Signal

FIRST_FILLER_S = 0.7
"""A reply of which nothing was heard is announced this long after its turn was decided."""
NEXT_FILLER_S = 2.5
"""The rest of a reply, or a reply that was announced, is announced after this much silence."""
ACT_AFTER_S = 0.3
"""Tools run no sooner after the decision that a spoken turn has ended: as long as a caller has to take it back."""
STUCK_S = 2.0
"""An agent that should be speaking and plays nothing for this long is stuck."""
MOST_FAILURES = 2
"""Failures in a row that end the call."""

AUDIBLE = (Agent.SPEAKING, Agent.DUCKED)
WAITING_FOR_WORDS = (Agent.HOLDING, Agent.YIELDED)
END_REASONS = {
    Stage.STT: EndReason.STT_FAILED,
    Stage.LLM: EndReason.LLM_FAILED,
    Stage.TTS: EndReason.TTS_FAILED,
}


class Waits(Floor):
    """Fillers while a reply is slow, reminders and the end of a silent call, and the watch over a mouth that is stuck."""

    def __init__(self, settings: TurnSettings, on_move: OnMove | None = None) -> None:
        super().__init__(settings, on_move)
        self._started_s = 0.0
        self._played_s = 0.0  # since when it should play, or when it was last known to
        self._should_play = False
        self._stuck = 0
        self._to_say: deque[ev.SayAsked] = deque()
        self._away = False  # the caller's line is broken: silence is not the caller's

    # ---- what plays ---------------------------------------------------------------------------------------------

    def _on_queued(self, event: ev.Queued) -> None:
        if self._agent.is_current(event.reply_id):
            self._agent.queued = True
            self._agent.waiting_since_s = None

    def _on_sounded(self, event: ev.Sounded) -> None:
        if not self._agent.is_current(event.reply_id):
            return
        self._played()
        self._agent.queued = True
        self._agent.waiting_since_s = None
        first = self._agent.move(Signal.HEARD)
        self._agent.show_own()
        if first and self._decided is not None and self._decided.perceived_s is None:
            self._decided.perceived_s = self._now_s - self._decided.end_s
            if self._agent.settled and self._agent.line is None:  # it acted before it spoke
                self._do(ev.Measure("perceived", self._turn, round(self._decided.perceived_s * 1000, 1)))

    def _on_settled(self, event: ev.Settled) -> None:
        if self._agent.is_current(event.reply_id):
            self._played()
            self._settle()

    def _on_playing(self, event: ev.Playing) -> None:
        if self._agent.is_current(event.reply_id):
            self._played()

    def _on_dry(self, event: ev.Dry) -> None:
        if self._agent.is_current(event.reply_id):
            self._agent.waiting_since_s = self._now_s
            self._agent.show_own()

    def _on_tools_asked(self, event: ev.ToolsAsked) -> None:
        if event.reply_id == self._agent.reply_id:
            self._agent.acts = True
            self._agent.show_own()

    # ---- what others have the agent say -------------------------------------------------------------------------

    def _on_say_asked(self, event: ev.SayAsked) -> None:
        if self._ending:
            return
        self._to_say.append(event)
        own_reply = self._agent.released and self._agent.line is not ev.Line.SAID and not self._deaf
        if event.interrupt and own_reply and not self._caller.sounding:
            self._break_off()

    def _on_dialled(self, _: ev.Dialled) -> None:
        if not self._deaf and self._agent.state is not Agent.LISTENING:
            self._give_up_floor()
        self._silent_since_s, self._silent_before_s = self._now_s, 0.0

    def _break_off(self) -> None:
        """End the reply where it is, for something else that the agent has to say."""
        if self._decided is not None:
            self._record(self._decided)
        if self._agent.settled and self._agent.reply_id is not None:
            self._do(ev.Cut(self._agent.reply_id, interrupted=False))
            self._agent.forget_reply()
        self._agent.drop_reply()
        self._agent.move(Signal.DONE)

    def _say_next(self) -> None:
        free = self._agent.state is Agent.LISTENING and self._caller.state is Caller.QUIET and self._caller.turn is None
        if self._to_say and free and not self._ending and not self._away:
            asked = self._to_say.popleft()
            self._agent.drop_reply()
            self._said_interruptible = asked.interruptible
            self._say(ev.Line.SAID, text=asked.text)

    def _played(self) -> None:
        self._played_s = self._now_s
        self._stuck = 0

    def _lose_reply(self, stage: Stage, *, fatal: bool) -> None:
        """Go on after a reply failed: with an apology, or not at all."""
        self._close_reply()
        self._failures += 1
        if fatal or self._failures >= MOST_FAILURES or self._ending:
            # what cannot speak cannot say farewell either
            self._fail_call(END_REASONS[stage], farewell=stage is not Stage.TTS)
        else:
            self._say(ev.Line.APOLOGY)

    # ---- what has become due ------------------------------------------------------------------------------------

    def _advance_waits(self) -> None:
        now_s = self._now_s + EPSILON_S
        self._say_next()
        should_play, self._should_play = self._should_play, self._plays
        if self._should_play and not should_play:
            self._played_s = self._now_s
        if self._agent.reply_id is not None and now_s >= self._fill_at_s():
            self._agent.waiting_since_s = self._now_s
            self._agent.fillers += 1
            self._do(ev.Fill(self._agent.reply_id))
        if self._agent.reply_id is not None and now_s >= self._stuck_at_s():
            self._stuck += 1
            self._played_s = self._now_s
            if self._stuck == 1:
                self._do(ev.Unstick(self._agent.reply_id))
            else:
                self._lose_reply(Stage.TTS, fatal=False)
        if now_s >= self._act_at_s():
            if self._agent.waiting_since_s is not None:
                self._agent.waiting_since_s = self._now_s  # one waits for the tools now
            self._settle()
        if now_s >= self._remind_at_s():
            self._silent_before_s = self._now_s - self._silent_since_s
            self._reminded += 1
            self._say(ev.Line.REMINDER, self._reminded - 1)
        if now_s >= self._silence_ends_at_s():
            self._end(EndReason.SILENCE_TIMEOUT)

    def _waits_until_s(self) -> float:
        return min(
            self._started_s + self._settings.max_duration_s,
            self._fill_at_s(),
            self._stuck_at_s(),
            self._act_at_s(),
            self._remind_at_s(),
            self._silence_ends_at_s(),
        )

    def _fill_at_s(self) -> float:
        agent = self._agent
        if self._away or agent.waiting_since_s is None or agent.line is not None or agent.state in WAITING_FOR_WORDS:
            return NEVER_S
        # by its sound, not by whether it is settled: a reply that acts before it speaks is as silent as one that thinks
        return agent.waiting_since_s + (NEXT_FILLER_S if agent.queued or agent.fillers else FIRST_FILLER_S)

    def _stuck_at_s(self) -> float:
        return self._played_s + STUCK_S if self._plays else NEVER_S

    def _act_at_s(self) -> float:
        """Return when the turn is certain enough for the tools that its reply asks for."""
        agent, turn = self._agent, self._decided
        undisturbed = agent.state is Agent.THINKING or agent.state is Agent.SPEAKING
        if not (agent.acts and agent.released and undisturbed) or agent.settled or turn is None:
            return NEVER_S
        return turn.end_s if turn.eou_delay_s is None else turn.end_s + turn.eou_delay_s + ACT_AFTER_S

    def _remind_at_s(self) -> float:
        if not self._both_silent or self._reminded >= self._settings.reminders:
            return NEVER_S
        return self._silent_since_s + (self._reminded + 1) * self._settings.reminder_after_s

    def _silence_ends_at_s(self) -> float:
        timeout_s = self._settings.silence_timeout_s
        return self._silent_since_s + timeout_s if self._both_silent and timeout_s > 0 else NEVER_S

    @property
    def _plays(self) -> bool:
        """Whether the agent should be heard now."""
        audible = self._agent.state in AUDIBLE or (self._agent.state is Agent.THINKING and self._agent.queued)
        return audible and not self._away and self._agent.waiting_since_s is None

    @property
    def _both_silent(self) -> bool:
        return not self._away and self._agent.state is Agent.LISTENING and self._caller.state is Caller.QUIET
