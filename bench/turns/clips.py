"""The callers' sounds as the contenders read them. Standard library only: it runs in the peers' environment too."""

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Clip:
    """A sound of the caller: where its stretches of speech are, and their words (none: not speech)."""

    name: str
    kind: str
    """short, long, interruption, pause400, pause800, cough, noise, mm-hm"""
    seconds: float
    stretches: list[tuple[float, float, str]] = field(default_factory=list[tuple[float, float, str]])

    @property
    def text(self) -> str:
        return " ".join(text for _, _, text in self.stretches)


def load(folder: Path) -> dict[str, list[tuple[Clip, bytes]]]:
    """Read what ``speech.make`` wrote, by kind."""
    kinds: dict[str, list[tuple[Clip, bytes]]] = {}
    for fields in json.loads((folder / "clips.json").read_text()):
        fields["stretches"] = [tuple(stretch) for stretch in fields["stretches"]]
        clip = Clip(**fields)
        kinds.setdefault(clip.kind, []).append((clip, (folder / f"{clip.name}.raw").read_bytes()))
    return kinds
