"""How one call takes turns: what its agent is set to, in the terms of the turn machine."""

from typing import Self

import msgspec

from oneinbox.core.spec import CallSpec
from oneinbox.live.engine.barge_in import BargeIn
from oneinbox.live.engine.endpointing import Endpointing
from oneinbox.live.engine.phrasebook import phrasebook

_REMINDER_AFTER_S = 10.0
"""Where nothing says when: neither the agent nor a silence timeout to share."""


class TurnSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one call takes turns."""

    endpointing: Endpointing = Endpointing()
    barge_in: BargeIn = BargeIn()
    silence_timeout_s: float = 10.0
    """Ends the call when both sides have been silent for this long; 0: never."""
    reminders: int = 0
    """How often the agent asks a silent caller whether they are still there ..."""
    reminder_after_s: float = 5.0
    """... each time after this much more silence."""
    greeting_interruptible: bool = True
    end_of_turn_model: bool = False
    """There is a model to ask whether a turn is complete."""
    max_duration_s: float = 600.0
    end_call_phrases: tuple[str, ...] = ()

    @classmethod
    def of_call(cls, spec: CallSpec, *, end_of_turn_model: bool = False) -> Self:
        """Return the settings of the call that ``spec`` describes."""
        turns, phrases = spec.turns, phrasebook(spec.stt.language)
        own_acknowledgements, own_interruptions = turns.acknowledgement_phrases, turns.interruption_phrases
        shared_s = turns.silence_timeout_s / (turns.reminder_count + 1)
        return cls(
            endpointing=Endpointing.from_responsiveness(turns.responsiveness),
            barge_in=BargeIn.from_sensitivity(
                turns.interruption_sensitivity,
                acknowledgements=phrases.acknowledgements if own_acknowledgements is None else own_acknowledgements,
                interruptions=phrases.interruptions if own_interruptions is None else own_interruptions,
            ),
            silence_timeout_s=turns.silence_timeout_s,
            reminders=turns.reminder_count,
            reminder_after_s=turns.reminder_after_s or shared_s or _REMINDER_AFTER_S,
            end_of_turn_model=end_of_turn_model,
            greeting_interruptible=turns.first_message_interruptible,
            max_duration_s=turns.max_duration_s,
            end_call_phrases=turns.end_call_phrases,
        )
