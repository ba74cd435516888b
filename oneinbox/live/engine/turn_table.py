"""The states of both sides of a call, and the tables along which they move (see the laws in ``turns.py``).

A signal that has no row for the present state means nothing there.
"""

from enum import Enum


class Caller(Enum):
    """What the caller does."""

    QUIET = "quiet"
    ONSET = "onset"  # a sound too short to be called speech yet
    SPEAKING = "speaking"
    PAUSED = "paused"  # has spoken; whether the turn has ended is open


class Agent(Enum):
    """What the agent does."""

    LISTENING = "listening"
    THINKING = "thinking"  # a reply is due, and not heard yet
    HOLDING = "holding"  # the same, kept back while the caller makes a sound
    SPEAKING = "speaking"
    DUCKED = "ducked"  # speaking quietly over a sound
    YIELDED = "yielded"  # stopped for what may be speech, ready to go on
    OVER = "over"  # the call has ended


class Signal(Enum):
    """What moves a side from one state to another."""

    SOUND = "sound"  # the first window of voice
    SOUND_EARLY = "sound early"  # the same, when the agent has hardly begun
    SPEECH = "speech"  # enough voice to be speech
    VOICE = "voice"  # enough voice to yield to
    FADED = "faded"  # silence again
    FADED_IN_TURN = "faded in turn"  # silence again after a short sound in the middle of a turn
    WORDS = "words"  # the recogniser has words (or the caller typed them)
    NO_WORDS = "no words"  # none came
    TURN_OVER = "turn over"
    DUE = "due"  # the agent is to say something
    DUE_OVER_SOUND = "due over sound"  # the same, while the caller makes a sound
    HEARD = "heard"  # its first sample is on the wire
    DONE = "done"  # it has said it, or has nothing to say, or cannot
    END = "end"


CALLER_TABLE: dict[tuple[Caller, Signal], Caller] = {
    (Caller.QUIET, Signal.SOUND): Caller.ONSET,
    (Caller.QUIET, Signal.WORDS): Caller.PAUSED,  # the recogniser heard what the VAD did not
    (Caller.ONSET, Signal.SPEECH): Caller.SPEAKING,
    (Caller.ONSET, Signal.FADED): Caller.QUIET,
    (Caller.ONSET, Signal.FADED_IN_TURN): Caller.PAUSED,
    (Caller.SPEAKING, Signal.FADED): Caller.PAUSED,
    (Caller.PAUSED, Signal.SOUND): Caller.ONSET,
    (Caller.PAUSED, Signal.TURN_OVER): Caller.QUIET,
}

AGENT_TABLE: dict[tuple[Agent, Signal], Agent] = {
    (Agent.LISTENING, Signal.DUE): Agent.THINKING,
    (Agent.LISTENING, Signal.DUE_OVER_SOUND): Agent.HOLDING,
    (Agent.LISTENING, Signal.END): Agent.OVER,
    (Agent.THINKING, Signal.HEARD): Agent.SPEAKING,
    (Agent.THINKING, Signal.SOUND): Agent.HOLDING,
    (Agent.THINKING, Signal.WORDS): Agent.LISTENING,
    (Agent.THINKING, Signal.DONE): Agent.LISTENING,
    (Agent.THINKING, Signal.END): Agent.OVER,
    (Agent.HOLDING, Signal.NO_WORDS): Agent.THINKING,
    (Agent.HOLDING, Signal.WORDS): Agent.LISTENING,
    (Agent.HOLDING, Signal.DONE): Agent.LISTENING,
    (Agent.HOLDING, Signal.END): Agent.OVER,
    (Agent.SPEAKING, Signal.SOUND): Agent.DUCKED,
    (Agent.SPEAKING, Signal.SOUND_EARLY): Agent.YIELDED,
    (Agent.SPEAKING, Signal.WORDS): Agent.LISTENING,
    (Agent.SPEAKING, Signal.DONE): Agent.LISTENING,
    (Agent.SPEAKING, Signal.END): Agent.OVER,
    (Agent.DUCKED, Signal.FADED): Agent.SPEAKING,
    (Agent.DUCKED, Signal.VOICE): Agent.YIELDED,
    (Agent.DUCKED, Signal.WORDS): Agent.LISTENING,
    (Agent.DUCKED, Signal.DONE): Agent.LISTENING,
    (Agent.DUCKED, Signal.END): Agent.OVER,
    (Agent.YIELDED, Signal.NO_WORDS): Agent.SPEAKING,
    (Agent.YIELDED, Signal.WORDS): Agent.LISTENING,
    (Agent.YIELDED, Signal.DONE): Agent.LISTENING,
    (Agent.YIELDED, Signal.END): Agent.OVER,
}
