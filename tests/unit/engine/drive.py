"""Drives a turn machine by hand: events in, the time kept, deadlines answered like the loop does."""

from oneinbox.core.errors import Stage
from oneinbox.core.events import EndReason
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.barge_in import BargeIn
from oneinbox.live.engine.endpointing import Endpointing
from oneinbox.live.engine.turn_settings import TurnSettings
from oneinbox.live.engine.turn_table import Agent, Caller, Signal
from oneinbox.live.engine.turns import TurnMachine

WINDOW_S = 0.032
SETTINGS = TurnSettings(
    endpointing=Endpointing(silence_s=0.5),
    barge_in=BargeIn(confirm_s=0.2),
    silence_timeout_s=10,
    max_duration_s=100,
    end_call_phrases=("goodbye",),
)
Move = tuple[Caller | Agent, Signal]


class Drive:
    """Feeds a machine, keeps the time, and answers its deadlines like the loop does."""

    def __init__(self, settings: TurnSettings = SETTINGS) -> None:
        self.now_s = 50.0
        self.moves: list[Move] = []
        self.commands: list[ev.AnyCommand] = []
        self.log: list[ev.AnyEvent] = []
        self._reply_id = 0
        self.machine = TurnMachine(settings, lambda state, signal: self.moves.append((state, signal)))

    def tell(self, event: ev.AnyEvent) -> list[ev.AnyCommand]:
        self.log.append(event)
        commands = self.machine.receive(event)
        self.commands += commands
        self._reply_id = next((c.reply_id for c in commands if isinstance(c, ev.Prepare | ev.Say)), self._reply_id)
        return commands

    def start(self, *, greeting: bool = False) -> "Drive":
        self.tell(ev.Started(self.now_s, greeting=greeting))
        return self

    def voice(self, seconds: float) -> "Drive":
        return self.windows(seconds, 0.9)

    def quiet(self, seconds: float) -> "Drive":
        return self.windows(seconds, 0.01)

    def windows(self, seconds: float, probability: float, *, plays: bool = True) -> "Drive":
        """Time passes. Unless it is stuck (``plays``), a speaking agent is known to play each second."""
        end_s, played_s = self.now_s + seconds, self.now_s
        while self.now_s < end_s - 1e-9:
            next_s = self.now_s + WINDOW_S
            while self.machine.deadline_s <= next_s:
                before_s, self.now_s = self.machine.deadline_s, max(self.now_s, self.machine.deadline_s)
                self.tell(ev.Tick(self.now_s))
                assert self.machine.deadline_s > before_s, "a deadline that does not pass would spin the loop"
            self.now_s = next_s
            self.tell(ev.Voice(self.now_s, probability))
            if plays and self.now_s >= played_s + 1 and self.machine.agent in (Agent.SPEAKING, Agent.DUCKED):
                played_s = self.now_s
                self.tell(ev.Playing(self.now_s, self.reply_id()))
        return self

    def partial(self, text: str) -> "Drive":
        self.tell(ev.Partial(self.now_s, text))
        return self

    def final(self, text: str) -> "Drive":
        self.tell(ev.Final(self.now_s, text, 0.8))
        return self

    def typed(self, text: str) -> "Drive":
        self.tell(ev.Typed(self.now_s, text))
        return self

    def reply_id(self) -> int:
        return self._reply_id

    def sounded(self) -> "Drive":
        self.tell(ev.Sounded(self.now_s, self.reply_id()))
        return self

    def settled(self) -> "Drive":
        self.tell(ev.Settled(self.now_s, self.reply_id()))
        return self

    def finished(self, *, hang_up: bool = False) -> "Drive":
        self.tell(ev.Finished(self.now_s, self.reply_id(), hang_up))
        return self

    def failed(self, stage: Stage = Stage.LLM, *, fatal: bool = False) -> "Drive":
        self.tell(ev.Failed(self.now_s, self.reply_id(), stage, fatal))
        return self

    def ask(self, text: str = "what time is it") -> "Drive":
        """The caller says something and is silent until the turn is decided."""
        return self.voice(1.0).quiet(0.3).final(text).quiet(0.4)

    def speak(self) -> "Drive":
        """The agent's reply is being heard."""
        return self.sounded().settled()

    def of(self, kind: type[ev.Command]) -> list[ev.AnyCommand]:
        return [command for command in self.commands if isinstance(command, kind)]

    @property
    def ended(self) -> EndReason | None:
        return next((c.reason for c in self.commands if isinstance(c, ev.EndCall)), None)


def begun() -> Drive:
    return Drive().start()


def thinking() -> Drive:
    return begun().ask()


def speaking() -> Drive:
    return thinking().speak()


def ducked() -> Drive:
    return speaking().voice(0.07)


def yielded() -> Drive:
    return speaking().voice(0.3)


def holding() -> Drive:
    return thinking().voice(0.1)


def end(drive: Drive) -> Drive:
    drive.tell(ev.Ended(drive.now_s, EndReason.API_STOP))
    return drive
