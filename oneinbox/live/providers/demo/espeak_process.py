"""The helper process that speaks: espeak-ng behind a pipe, ``python -m oneinbox.live.providers.demo.espeak_process``.

espeak-ng is under the GPL, so its library is loaded here and nowhere else; only text goes in and only audio comes out.
It is one engine with one voice at a time: requests are spoken sentence by sentence in turn, so that a long answer in
one call does not delay a short one in another. The process ends when its standard input does: with its parent.

Frames, both ways: ``kind`` (1 byte), ``request`` (4), ``length`` (4), all big-endian, then the body.

====  ==================  ==============================================================
kind  down                up
====  ==================  ==============================================================
1     speak (JSON)        a piece of mono s16 audio in the machine's own byte order
2     stop this request   the request is spoken (or stopped)
3                         the request failed: what espeak-ng said
4                         ready: the sample rate, in digits (request 0, once, at the start)
====  ==================  ==============================================================
"""

import ctypes
import json
import os
import re
import signal
import struct
import sys
import threading
from collections import OrderedDict, deque
from typing import Any, BinaryIO, Protocol, cast

HEADER = struct.Struct("!BII")
SPEAK, STOP = 1, 2
AUDIO, DONE, FAILED, READY = 1, 2, 3, 4
DEFAULT_VOICE = "en-us"

# Names and values as in espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_RATE = 1
_POS_CHARACTER = 1
_EE_OK = 0
_BUFFER_MS = 60

_VOICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+_\-]{0,39}")
_PIECE_CHARS = 240

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Loader(Protocol):
    """What is used of the package that carries the library."""

    def get_library_path(self) -> str: ...
    def get_data_path(self) -> str: ...


class Espeak:
    """The engine. ``speak`` gives audio to ``sink`` as it is made, until it is done or ``sink`` returns False."""

    def __init__(self) -> None:
        import espeakng_loader  # noqa: PLC0415 - only this process may load the library

        loader = cast(_Loader, espeakng_loader)
        self._library = ctypes.CDLL(loader.get_library_path())
        self.rate_hz: int = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, loader.get_data_path().encode(), _INITIALIZE_DONT_EXIT
        )
        if self.rate_hz <= 0:
            raise RuntimeError(f"espeak-ng could not start ({self.rate_hz})")
        self._sink: Any = None
        self._callback = _Callback(self._on_audio)  # kept: the library holds only its address
        self._library.espeak_SetSynthCallback(self._callback)
        self._voice = ""

    def _on_audio(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0 and not self._sink(ctypes.string_at(samples, count * 2)):
            return 1
        return 0

    def speak(self, text: str, voice: str, words_per_minute: int, sink: Any) -> None:
        """Speak ``text``; an unknown voice is replaced by the default one."""
        if voice != self._voice:
            known = _VOICE_NAME.fullmatch(voice) and self._library.espeak_SetVoiceByName(voice.encode()) == _EE_OK
            if not known:
                self._library.espeak_SetVoiceByName(DEFAULT_VOICE.encode())
            self._voice = voice
        self._library.espeak_SetParameter(_RATE, words_per_minute, 0)
        self._sink = sink
        body = text.replace("\0", " ").encode() + b"\0"
        status = self._library.espeak_Synth(body, len(body), 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
        if status != _EE_OK:
            raise RuntimeError(f"espeak-ng could not speak ({status})")


class _Request:
    def __init__(self, pieces: list[str], voice: str, words_per_minute: int) -> None:
        self.pieces = deque(pieces)
        self.voice = voice
        self.words_per_minute = words_per_minute


class _Desk:
    """Requests in, speech out: one thread reads, the main one speaks."""

    def __init__(self, down: BinaryIO, up: BinaryIO) -> None:
        self._down = down
        self._up = up
        self._waiting: OrderedDict[int, _Request] = OrderedDict()
        self._stopped: set[int] = set()
        self._speaking = 0
        self._change = threading.Condition()

    def send(self, kind: int, request: int, body: bytes = b"") -> None:
        self._up.write(HEADER.pack(kind, request, len(body)) + body)
        self._up.flush()

    def read_all(self) -> None:
        """Take requests until the parent is gone, and then end the process, whatever it is doing."""
        while len(header := self._down.read(HEADER.size)) == HEADER.size:
            kind, number, length = HEADER.unpack(header)
            body = self._down.read(length)
            with self._change:
                if kind == SPEAK:
                    wish = json.loads(body)
                    self._waiting[number] = _Request(split(wish["text"]), wish["voice"], wish["words_per_minute"])
                elif number in self._waiting or number == self._speaking:
                    self._stopped.add(number)
                self._change.notify()
        os._exit(0)

    def speak_all(self, espeak: Espeak) -> None:
        """Speak one piece of each request in turn, for ever."""
        while True:
            with self._change:
                while not self._waiting:
                    self._change.wait()
                number, request = self._waiting.popitem(last=False)
                self._speaking = number
            error = ""
            if request.pieces and number not in self._stopped:
                try:
                    espeak.speak(
                        request.pieces.popleft(), request.voice, request.words_per_minute, self._sink_for(number)
                    )
                except RuntimeError as failure:
                    error = str(failure)
            with self._change:
                self._speaking = 0
                over = bool(error) or not request.pieces or number in self._stopped
                if over:
                    self._stopped.discard(number)
                else:
                    self._waiting[number] = request
            if over:
                self.send(FAILED if error else DONE, number, error.encode())

    def _sink_for(self, number: int) -> Any:
        def sink(audio: bytes) -> bool:
            if number in self._stopped:
                return False
            self.send(AUDIO, number, audio)
            return True

        return sink


def split(text: str) -> list[str]:
    """Return ``text`` in pieces of a sentence or two, none much longer than ``_PIECE_CHARS``."""
    pieces: list[str] = []
    for sentence in re.split(r"(?<=[.!?;:])\s+", text.strip()):
        rest = sentence
        while len(rest) > _PIECE_CHARS:
            at = rest.rfind(" ", 1, _PIECE_CHARS)
            at = at if at > 0 else _PIECE_CHARS
            pieces.append(rest[:at])
            rest = rest[at:].lstrip()
        if rest:
            pieces.append(rest)
    return pieces


def main() -> None:
    """Run until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end ends this process
    desk = _Desk(sys.stdin.buffer, sys.stdout.buffer)
    espeak = Espeak()
    desk.send(READY, 0, str(espeak.rate_hz).encode())
    threading.Thread(target=desk.read_all, daemon=True).start()
    try:
        desk.speak_all(espeak)
    except BrokenPipeError:
        os._exit(0)  # the parent is gone


if __name__ == "__main__":
    main()
