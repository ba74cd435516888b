"""The caller's turn in words: while it is open, and once it is decided."""

from collections.abc import Iterator

from oneinbox.live.engine.endpointing import normalised


def least(one: float | None, other: float | None) -> float | None:
    """Return the lower of two confidences, of which either may not be known."""
    return min((known for known in (one, other) if known is not None), default=None)


class DecidedTurn:
    """A turn of the caller that endpointing has closed. It can be taken back until it is recorded.

    Its words are the ``head``, which is final, and ``partial``, which the next final transcript tells again.
    """

    __slots__ = (
        "confidence",
        "end_s",
        "eou_delay_s",
        "final_delay_s",
        "head",
        "number",
        "partial",
        "perceived_s",
        "start_s",
        "text",
        "typed",
    )

    def __init__(
        self,
        *,
        text: str,
        start_s: float,
        end_s: float,
        confidence: float | None = None,
        typed: bool = False,
        head: str = "",
        partial: str = "",
    ) -> None:
        self.text = text
        self.head = head
        self.partial = partial
        self.start_s = start_s
        self.end_s = end_s  # the last speech
        self.confidence = confidence
        self.typed = typed
        self.number = 0  # which of the caller's messages it is on record, from 1
        self.eou_delay_s: float | None = None
        self.final_delay_s: float | None = None
        self.perceived_s: float | None = None

    @property
    def recorded(self) -> bool:
        """Whether it stands on the record."""
        return self.number > 0

    def confirm(self, text: str, confidence: float | None) -> bool:
        """Take ``text``, the final transcript of the part that was not final; return whether the words changed.

        Where it has no words, those at hand stay.
        """
        whole = f"{self.head} {text}".strip()
        changed = bool(normalised(text)) and normalised(whole) != normalised(self.text)
        if changed:
            self.text = whole
            self.confidence = least(self.confidence, confidence)
        self.head, self.partial = self.text, ""
        return changed

    def latencies(self) -> Iterator[tuple[str, float]]:
        """Yield the parts of the turn's latency that are known here, in seconds."""
        if self.eou_delay_s is not None:
            yield "eou_delay", self.eou_delay_s
        if self.final_delay_s is not None:
            yield "stt", self.final_delay_s
        if self.perceived_s is not None:
            yield "perceived", self.perceived_s


class OpenTurn:
    """What the caller has said since the last turn was decided: finals, then the partial of what goes on."""

    __slots__ = (
        "_finals",
        "_partial",
        "aside",
        "changed_s",
        "complete",
        "confidence",
        "final_delay_s",
        "judged",
        "signalled",
        "speculations",
        "start_s",
        "told",
    )

    def __init__(self, *, start_s: float) -> None:
        self.start_s = start_s
        self.changed_s = start_s
        self.told = False
        """The recogniser has told something of the last stretch of speech."""
        self.confidence: float | None = None
        self.final_delay_s: float | None = None
        self.speculations = 0
        self.aside = False
        """The words acknowledge what the agent says: unless it falls silent, they are not for it to answer."""
        self.signalled = False
        """The recogniser has said that the turn has ended, and no speech has come since."""
        self.complete: float | None = None
        """What the end-of-turn model makes of it, if no speech has come since."""
        self.judged: int = 0
        """How often it was asked."""
        self._finals: list[str] = []
        self._partial = ""

    def go_on(self) -> None:
        """There is speech again: what was said of its end is void."""
        self.signalled = False
        self.complete = None

    @property
    def text(self) -> str:
        """The words so far; empty where there are none (punctuation alone is none)."""
        return " ".join([*self._finals, self._partial] if self._partial else self._finals)

    def revise(self, partial: str, at_s: float) -> bool:
        """Take a partial transcript; return whether the words changed."""
        partial = partial.strip() if normalised(partial) else ""
        if partial == self._partial or not partial:
            return False
        self.told = True
        self._partial = partial
        self.changed_s = at_s
        return True

    def add_final(self, text: str, confidence: float | None, at_s: float) -> bool:
        """Take a final transcript in place of the partial; return whether there are words, and they changed."""
        before = self.text
        self._partial = ""
        if normalised(text):
            self._finals.append(text.strip())
            self.confidence = least(self.confidence, confidence)
        changed = self.text != before
        if changed:
            self.changed_s = at_s
            self.told = True
        return changed and bool(self.text)

    @property
    def partial(self) -> str:
        """The words that no final transcript has confirmed."""
        return self._partial

    def confirm(self) -> None:
        """Keep the partial transcript as it is: nobody will tell these words again."""
        if self._partial:
            self._finals.append(self._partial)
            self._partial = ""

    def continue_from(self, turn: DecidedTurn) -> None:
        """Put a turn that was taken back before these words."""
        if turn.head:
            self._finals.insert(0, turn.head)
        self._partial = f"{turn.partial} {self._partial}".strip()
        self.start_s = turn.start_s

    def decide(self, end_s: float) -> DecidedTurn:
        """Close the turn, whose last speech was at ``end_s``."""
        turn = DecidedTurn(
            text=self.text,
            head=" ".join(self._finals),
            partial=self._partial,
            start_s=self.start_s,
            end_s=max(self.start_s, end_s),
            confidence=self.confidence,
        )
        turn.final_delay_s = self.final_delay_s
        return turn
