"""The demo desk's rules: from what the caller has said so far to what the desk answers.

Everything is pure. A conversation is replayed from the caller's words alone, so asking twice, or asking on words that
change later, does no harm.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from oneinbox.live.engine.ports import ChatMessage
from oneinbox.live.providers.demo.intents import INTENTS
from oneinbox.live.providers.demo.script import ALWAYS, FIRST_STATE, STATES, Move

UNCLEAR = "(unclear)"
"""Stands in the transcript for speech that the recogniser heard and could not match with anything sayable."""
BUSY = "(not heard: too many demo calls are listening)"
"""Stands in the transcript for speech that nothing was free to listen to."""

_MARKERS = re.compile(r"\((?:unclear|not heard:[^)]*)\)")
_DEFAULTS = {"day": "today", "meal": "dinner", "people": "two", "seat": "inside"}
_NUMBERS = {"2": "two", "4": "four"}
_SPELLINGS = {"bye": "goodbye", "ok": "okay", "hi": "hello", "hey": "hello"}
_TYPED_PURPOSES = ("book", "hours", "menu", "person", "cancel", "who")


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a conversation stands, and what the desk says there."""

    state: str = FIRST_STATE
    reply: str = ""
    misses: int = 0
    """How many times in a row nothing was understood."""
    busy_told: bool = False
    remembered: Mapping[str, str] = {}
    over: bool = False


def replay(history: Iterable[ChatMessage]) -> Position:
    """Return where the caller's messages of ``history`` lead."""
    position = Position()
    for message in history:
        if message.role == "user":
            position = step(position, message.content)
    return position


def step(position: Position, text: str) -> Position:
    """Return where ``text``, said or typed by the caller, leads from ``position``."""
    if position.over:
        return _keep(position, reply=STATES["goodbye"].asks, misses=0)
    words = normalise(_MARKERS.sub(" ", text))
    if not words and BUSY in text:
        return _busy(position)
    intent = understand(position.state, words) if words else None
    if intent is None:
        return _missed(position)
    move = STATES[position.state].moves.get(intent) or ALWAYS.get(intent) or STATES[FIRST_STATE].moves[intent]
    if intent == "help":
        return _keep(position, reply=STATES[position.state].choices, misses=0)
    if intent == "repeat":
        return _keep(position, reply=_question(position.state, position.remembered), misses=0)
    return _moved(position, move)


def understand(state: str, words: str) -> str | None:
    """Return the intent of normalised ``words`` in ``state``, or ``None``.

    Speech arrives as one of the state's phrases; typed text is taken leniently: a phrase in the middle of it counts,
    then single words that betray the meaning, then whatever else the desk can be asked for in general.
    """
    for names in ([*STATES[state].moves, *ALWAYS], _TYPED_PURPOSES):
        found = _whole(names, words) or _contained(names, words) or _by_keywords(names, words)
        if found is not None:
            return found
    return None


def sayable(state: str) -> dict[str, str]:
    """Return the phrases that can be said in ``state``, each with its intent."""
    phrases: dict[str, str] = {}
    for intent in [*STATES[state].moves, *ALWAYS]:
        for phrase in INTENTS[intent].phrases:
            phrases.setdefault(phrase, intent)
    return phrases


def normalise(text: str) -> str:
    """Return ``text`` in lower case without punctuation, words set apart by one space, spelt as the script has them."""
    words: list[str] = re.findall(r"[a-z0-9']+", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    spelt = [_SPELLINGS.get(word, _NUMBERS.get(word) or word) for word in words]
    return " ".join(spelt).replace("goodbye goodbye", "goodbye").replace("good goodbye", "goodbye")


def _whole(names: Sequence[str], words: str) -> str | None:
    return next((name for name in names if any(normalise(phrase) == words for phrase in INTENTS[name].phrases)), None)


def _contained(names: Sequence[str], words: str) -> str | None:
    """Return the intent with the longest phrase inside ``words``."""
    inside = [
        (len(phrase), name)
        for name in names
        for phrase in map(normalise, INTENTS[name].phrases)
        if f" {phrase} " in f" {words} "
    ]
    return max(inside, key=lambda found: found[0])[1] if inside else None


def _by_keywords(names: Sequence[str], words: str) -> str | None:
    """Return the intent with the most keywords among ``words``; ``None`` where two are equally likely."""
    spoken = set(words.split())
    scores = sorted(((len(INTENTS[name].keywords & spoken), name) for name in names), reverse=True)
    if scores[0][0] == 0 or (len(scores) > 1 and scores[0][0] == scores[1][0]):
        return None
    return scores[0][1]


def _moved(position: Position, move: Move) -> Position:
    remembered = dict(position.remembered)
    if move.remember is not None:
        remembered[move.remember[0]] = move.remember[1]
    said = move.say if move.over else f"{move.say} {_question(move.to, remembered)}".strip()
    return Position(state=move.to, reply=said, busy_told=position.busy_told, remembered=remembered, over=move.over)


def _missed(position: Position) -> Position:
    """Ask again; from the second time on, read the three choices."""
    misses = position.misses + 1
    if misses == 1:
        reply = f"Sorry, I did not catch that. {_question(position.state, position.remembered)}"
    elif misses == 2:
        reply = f"Sorry, once more. {STATES[position.state].choices}"
    else:
        reply = f"I only understand the phrases on the page. {STATES[position.state].choices} You can click them, too."
    return _keep(position, reply=reply, misses=misses)


def _busy(position: Position) -> Position:
    if position.busy_told:
        return _keep(position, reply="Please click a phrase, or type it.", misses=0)
    reply = (
        "Too many people are talking to this demo just now, so I could not listen. Please click a phrase, or type it."
    )
    told = _keep(position, reply=reply, misses=0)
    return msgspec.structs.replace(told, busy_told=True)


def _keep(position: Position, *, reply: str, misses: int) -> Position:
    return msgspec.structs.replace(position, reply=reply, misses=misses)


def _question(state: str, remembered: Mapping[str, str]) -> str:
    return STATES[state].asks.format(**{**_DEFAULTS, **remembered})
