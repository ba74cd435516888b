"""The log of a call's turns: every event that the machine was told and every command it gave, and their replay.

A file holds MessagePack frames, each behind its length (4 bytes, big-endian): first the settings, then (event, commands) in
order, last whether that was everything (a boolean). It is written in pieces of 32 kB, without waiting for the disk, and stops
growing at 8 MB (several hours). So the log of a call that is still going on ends somewhere, without that last frame.
"""

import enum
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.turn_settings import TurnSettings
from oneinbox.live.engine.turns import TurnMachine

SUFFIX = ".turns"
_PIECE_BYTES = 32 * 1024
_MOST_BYTES = 8 * 1024 * 1024
_LENGTH = struct.Struct("!I")

Step = tuple[ev.AnyEvent, list[ev.AnyCommand]]


class LogEnd(enum.Enum):
    """How a log ends; the value says it to a reader."""

    WHOLE = "the log is whole"
    FULL = f"the log was full ({_MOST_BYTES >> 20} MB): what came later in the call is not in it"
    OPEN = (
        f"the log has no end: the call goes on (its log is written in pieces of {_PIECE_BYTES >> 10} kB), "
        "or its worker was killed; what came later is not in it"
    )


class ReadLog(NamedTuple):
    """What a file held."""

    settings: TurnSettings
    steps: list[Step]
    end: LogEnd


class TurnLogError(Exception):
    """The log cannot be read; the message says why."""


class TurnLog:
    """Writes the log of one call. Raises ``OSError`` where the file cannot be made."""

    def __init__(self, path: Path, settings: TurnSettings) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # it holds what the caller said
        self._file = path.open("wb", buffering=_PIECE_BYTES)
        self._encoder = msgspec.msgpack.Encoder()
        self._left_bytes = _MOST_BYTES
        self._write(settings)
        self._file.flush()  # from now on it can be read, while the call goes on too

    def add(self, event: ev.AnyEvent, commands: list[ev.AnyCommand]) -> None:
        """Note one step."""
        self._write((event, commands))

    def close(self) -> None:
        """Write the rest. Harmless when called again."""
        if not self._file.closed:
            self._append(self._encoder.encode(self._left_bytes > 0))
            self._file.close()

    def _write(self, entry: Any) -> None:
        body = self._encoder.encode(entry)
        self._left_bytes -= _LENGTH.size + len(body)
        if self._left_bytes > 0 and not self._file.closed:
            self._append(body)

    def _append(self, body: bytes) -> None:
        self._file.write(_LENGTH.pack(len(body)) + body)


def keep_newest(folder: Path, most: int) -> None:
    """Delete all but the newest logs of a folder."""
    logs = sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in logs[most:]:
        path.unlink(missing_ok=True)


def read_log(path: Path) -> ReadLog:
    """Return what the file holds so far; a last frame that is not whole is left out. Raises ``TurnLogError``."""
    decoder = msgspec.msgpack.Decoder(bool | tuple[ev.AnyEvent, list[ev.AnyCommand]])
    steps: list[Step] = []
    end = LogEnd.OPEN
    try:
        frames = _frames(path.read_bytes())
        settings = msgspec.msgpack.decode(next(frames), type=TurnSettings)
        for frame in frames:
            entry = decoder.decode(frame)
            if isinstance(entry, bool):
                end = LogEnd.WHOLE if entry else LogEnd.FULL
            else:
                steps.append(entry)
        return ReadLog(settings, steps, end)
    except (OSError, StopIteration, msgspec.MsgspecError) as error:
        raise TurnLogError(f"{path} is no log of a call's turns of this release: {error}") from error


def _frames(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            return
        yield data[at : at + length]
        at += length


def replay(settings: TurnSettings, steps: list[Step]) -> tuple[list[str], int]:
    """Tell a new machine the same events; return the time line, and how many steps gave other commands than then."""
    lines: list[str] = []
    differences = 0
    moves: list[str] = []
    machine = TurnMachine(settings, lambda state, signal: moves.append(f"{state.name} + {signal.value}"))
    started_s = steps[0][0].at_s if steps else 0.0
    for event, then in steps:
        moves.clear()
        commands = machine.receive(event)
        same = commands == then
        differences += not same
        if moves or commands or not same or not isinstance(event, ev.Voice | ev.Playing | ev.Tick):
            told = " ".join([_shown(event), *(f"[{move}]" for move in moves)])
            given = "; ".join(_shown(command) for command in commands)
            lines.append(f"{event.at_s - started_s:9.3f}  {told}{f' -> {given}' if given else ''}")
        if not same:
            lines.append(f"           DIFFERENT: then it was {'; '.join(map(_shown, then)) or 'nothing'}")
    return lines, differences


def _shown(what: msgspec.Struct) -> str:
    fields = {name: getattr(what, name) for name in what.__struct_fields__ if name != "at_s"}
    values = ", ".join(f"{value:.3f}" if isinstance(value, float) else f"{value!s}" for value in fields.values())
    return f"{type(what).__name__}({values})"
