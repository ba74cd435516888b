"""What was heard of the agent: its words cut at the played sample."""

from collections.abc import Sequence

from oneinbox.live.engine.ports import SPOKEN_RATE_HZ

SAMPLES_PER_CHARACTER = SPOKEN_RATE_HZ // 16
"""How long a character takes to say (62 ms) as long as nothing better is known."""


class Spoken:
    """A sentence of the agent and how much audio there is of it.

    ``samples`` counts what has arrived; ``whole`` says that it is all there will be, of the whole text.
    """

    __slots__ = ("_timed", "samples", "text", "whole")

    def __init__(self, text: str, samples: int = 0, *, whole: bool = False) -> None:
        self.text = text
        self.samples = samples
        self.whole = whole
        self._timed: list[tuple[float, int]] = []  # when each word has been said, and where it ends in the text

    def note_word(self, word: str, end_s: float) -> None:
        """Take a vendor's timing of the next word; one that is not in the text is left out."""
        after = self._timed[-1][1] if self._timed else 0
        at = self.text.find(word.strip(), after)
        if word.strip() and at >= 0:
            self._timed.append((end_s, at + len(word.strip())))

    def timed_part(self, played_samples: int) -> str | None:
        """Return what was said within ``played_samples`` by the timings; ``None`` where they do not reach so far."""
        played_s = played_samples / SPOKEN_RATE_HZ
        if not self._timed or self._timed[-1][0] < played_s:
            return None
        end = max((end for said_s, end in self._timed if said_s <= played_s), default=0)
        following = self.text[end:].split(maxsplit=1)
        closing = following[0] if end and following and not self.text[end].isspace() else ""
        return self.text[:end] + ("" if any(char.isalnum() for char in closing) else closing)


def heard_text(sentences: Sequence[Spoken], played_samples: int) -> str:
    """Return the words of ``sentences`` of which ``played_samples`` have been played, in order.

    See :func:`heard_sentences`.
    """
    return " ".join(filter(None, heard_sentences(sentences, played_samples)))


def heard_sentences(sentences: Sequence[Spoken], played_samples: int) -> list[str]:
    """Return what was heard of each sentence that has begun to be played.

    Inside a sentence the cut is by the voice's own word timings, where it gives them; else by the share of its audio, back to the last whole word (to the character where a
    language puts no spaces). The length of a sentence whose audio is still arriving is estimated by the pace so far.
    """
    heard: list[str] = []
    for sentence in sentences:
        if played_samples <= 0:
            break
        if sentence.whole and played_samples >= sentence.samples:
            heard.append(sentence.text)
        else:
            length = sentence.samples if sentence.whole else _estimated_samples(sentence, sentences)
            played = min(played_samples, sentence.samples)  # one that broke off may have others behind it
            timed = sentence.timed_part(played)
            heard.append(_cut(sentence.text, played / max(1, length)) if timed is None else timed)
        played_samples -= sentence.samples
    return heard


def _estimated_samples(sentence: Spoken, sentences: Sequence[Spoken]) -> int:
    whole = [other for other in sentences if other.whole and other.text]
    characters = sum(len(other.text) for other in whole)
    pace = sum(other.samples for other in whole) / characters if characters else SAMPLES_PER_CHARACTER
    return max(sentence.samples, int(len(sentence.text) * pace))


def _cut(text: str, share: float) -> str:
    if share >= 1.0:
        return text
    at = int(len(text) * share)
    if not text[at].isspace() and any(char.isspace() for char in text):
        at = max((place for place in range(at) if text[place].isspace()), default=0)
    return text[:at].rstrip()
