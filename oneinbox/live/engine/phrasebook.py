"""What the engine says of its own accord, and the short words it understands itself, in each language of ``phrases.toml``.

A language that is not there gets the English lines, and no phrases: there every word of the caller stops the agent.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from oneinbox.live.engine.turn_events import Line


class Phrasebook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One language."""

    apology: str
    unheard: str
    farewell: str
    reminder: str
    fillers: tuple[str, ...]
    """Said in turn when a reply is slow and nothing of it has been said."""
    patience: tuple[str, ...]
    """Said in turn when the rest of a reply, or the reply after a filler, is slow."""
    acknowledgements: tuple[str, ...] = ()
    """What a listener says without wanting the floor."""
    interruptions: tuple[str, ...] = ()
    """What means: stop talking."""

    def all_lines(self) -> tuple[str, ...]:
        """Return everything that is said in this language."""
        return (self.apology, self.unheard, self.farewell, self.reminder, *self.fillers, *self.patience)

    def line(self, line: Line) -> str:
        """Return the text of ``line``; empty where the engine has none (the greeting is the agent's own)."""
        return {
            Line.APOLOGY: self.apology,
            Line.UNHEARD: self.unheard,
            Line.FAREWELL: self.farewell,
            Line.REMINDER: self.reminder,
        }.get(line, "")


def phrasebook(language: str) -> Phrasebook:
    """Return the phrasebook of a language tag (``pt``, ``pt-BR``); the English lines where there is none."""
    primary = language.replace("_", "-").partition("-")[0].casefold()
    return PHRASEBOOKS.get(primary) or msgspec.structs.replace(ENGLISH, acknowledgements=(), interruptions=())


def _read() -> dict[str, Phrasebook]:
    with Path(__file__).with_name("phrases.toml").open("rb") as file:
        return msgspec.convert(tomllib.load(file), dict[str, Phrasebook])


PHRASEBOOKS: Mapping[str, Phrasebook] = _read()
ENGLISH = PHRASEBOOKS["en"]
