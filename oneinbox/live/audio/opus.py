"""Opus by way of libopus: 16 kHz mono out of whatever a client sends, 24 kHz mono speech into small packets.

A thin binding (ctypes) to the library that rides in the wheel of ``av``, so that nothing else need be installed;
a libopus of the system serves where that wheel has none. API: https://opus-codec.org/docs/opus_api-1.5/ ;
packets: RFC 6716.
"""

import ctypes
import ctypes.util
import functools
import importlib.util
import weakref
from pathlib import Path

_OK = 0
_APPLICATION_VOIP = 2048
_SET_BITRATE = 4002
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014
_SET_SIGNAL = 4024
_SIGNAL_VOICE = 3001

_MAX_PACKET_BYTES = 1275  # RFC 6716, 3.4: the most that one frame can need
_MAX_PACKET_MS = 120

SILENCE_20_MS = b"\xf8\xff\xfe"
"""A packet of 20 ms of silence (CELT, full band, RFC 6716 3.1): what a decoder makes of it costs nothing to encode."""

_LIBRARY_PATTERNS = ("../av.libs/libopus*", "../av.libs/opus*.dll", ".dylibs/libopus*")


class OpusError(Exception):
    """libopus refused: a packet that is not Opus, or a setting it does not know."""


@functools.cache
def _library() -> ctypes.CDLL:
    """Load libopus once; raises :class:`OpusError` with every place that was looked in."""
    path = find_library()
    try:
        lib = ctypes.CDLL(path)
    except OSError as error:
        raise OpusError(f"libopus at {path} cannot be loaded: {error}") from error
    handle, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    lib.opus_strerror.argtypes, lib.opus_strerror.restype = [number], text
    lib.opus_get_version_string.argtypes, lib.opus_get_version_string.restype = [], text
    lib.opus_decoder_create.argtypes = [ctypes.c_int32, number, ctypes.POINTER(number)]
    lib.opus_decoder_create.restype = handle
    lib.opus_decoder_destroy.argtypes, lib.opus_decoder_destroy.restype = [handle], None
    lib.opus_decode.argtypes = [handle, text, ctypes.c_int32, handle, number, number]
    lib.opus_decode.restype = number
    lib.opus_packet_get_nb_samples.argtypes = [text, ctypes.c_int32, ctypes.c_int32]
    lib.opus_packet_get_nb_samples.restype = number
    lib.opus_encoder_create.argtypes = [ctypes.c_int32, number, number, ctypes.POINTER(number)]
    lib.opus_encoder_create.restype = handle
    lib.opus_encoder_destroy.argtypes, lib.opus_encoder_destroy.restype = [handle], None
    lib.opus_encode.argtypes = [handle, text, number, handle, ctypes.c_int32]
    lib.opus_encode.restype = ctypes.c_int32
    # opus_encoder_ctl is variadic: no argtypes, every argument is wrapped where it is called
    lib.opus_encoder_ctl.restype = number
    return lib


def find_library() -> str:
    """Return the path of the libopus in use; raises :class:`OpusError` where there is none."""
    spec = importlib.util.find_spec("av")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        for pattern in _LIBRARY_PATTERNS:
            base = package.parent if pattern.startswith("../") else package
            for found in sorted(base.glob(pattern.removeprefix("../"))):
                return str(found)
    installed = ctypes.util.find_library("opus")
    if installed is not None:
        return installed
    raise OpusError(f"no libopus: not beside the av package ({', '.join(_LIBRARY_PATTERNS)}) and not on this system")


def library_version() -> str:
    """Return what libopus calls itself, such as ``libopus 1.5.2``."""
    version: bytes = _library().opus_get_version_string()
    return version.decode()


def _refused(code: int, doing: str) -> OpusError:
    text: bytes = _library().opus_strerror(code)
    return OpusError(f"{doing}: {text.decode()} ({code})")


class OpusDecoder:
    """Opus of any kind to mono PCM at ``rate_hz``; keeps the state that loss concealment needs."""

    def __init__(self, rate_hz: int = 16_000) -> None:
        lib = _library()
        error = ctypes.c_int()
        handle: int | None = lib.opus_decoder_create(rate_hz, 1, ctypes.byref(error))
        if handle is None or error.value != _OK:
            raise _refused(error.value, f"a decoder for {rate_hz} Hz")
        self._rate_hz = rate_hz
        self._handle = handle
        self._decode = lib.opus_decode
        self._max_samples = rate_hz * _MAX_PACKET_MS // 1000
        self._out = ctypes.create_string_buffer(self._max_samples * 2)
        self._out_address = ctypes.addressof(self._out)
        self._free = weakref.finalize(self, lib.opus_decoder_destroy, handle)

    def decode(self, packet: bytes) -> bytes:
        """Return the PCM of one packet (2.5-120 ms); raises :class:`OpusError` where it is not Opus."""
        return self._run(packet, len(packet), self._max_samples, 0)

    def conceal(self, samples: int) -> bytes:
        """Return ``samples`` of sound in place of a lost packet, carried on from what came before.

        ``samples`` is a whole number of 2.5 ms.
        """
        return self._run(None, 0, samples, 0)

    def recover(self, next_packet: bytes, samples: int) -> bytes:
        """Return the ``samples`` just before ``next_packet`` from the copy it may carry (in-band FEC).

        Where it carries none, this is :meth:`conceal`.
        """
        return self._run(next_packet, len(next_packet), samples, 1)

    def _run(self, packet: bytes | None, length: int, samples: int, fec: int) -> bytes:
        if not self._free.alive:
            raise OpusError("the decoder is closed")
        made: int = self._decode(self._handle, packet, length, self._out_address, samples, fec)
        if made < 0:
            raise _refused(made, f"a packet of {length} bytes")
        return ctypes.string_at(self._out_address, made * 2)

    def close(self) -> None:
        """Free the decoder. Harmless when called again."""
        self._free()


def packet_samples(packet: bytes, rate_hz: int) -> int:
    """Return how many samples at ``rate_hz`` a packet holds; raises :class:`OpusError` where it is not Opus."""
    samples: int = _library().opus_packet_get_nb_samples(packet, len(packet), rate_hz)
    if samples <= 0:
        raise _refused(samples, f"a packet of {len(packet)} bytes")
    return samples


class OpusEncoder:
    """Mono PCM at ``rate_hz`` to Opus, tuned for speech.

    ``complexity`` (0-10) trades CPU time for quality: at 24 kHz, 5 costs about 5 ms of CPU per second of speech.
    ``expected_loss_pct`` above 0 makes packets carry a coarse copy of the one before (in-band FEC).
    """

    def __init__(
        self, rate_hz: int = 24_000, *, complexity: int = 5, bitrate_bps: int = 32_000, expected_loss_pct: int = 0
    ) -> None:
        lib = _library()
        error = ctypes.c_int()
        handle: int | None = lib.opus_encoder_create(rate_hz, 1, _APPLICATION_VOIP, ctypes.byref(error))
        if handle is None or error.value != _OK:
            raise _refused(error.value, f"an encoder for {rate_hz} Hz")
        self._handle = handle
        self._encode = lib.opus_encode
        self._out = ctypes.create_string_buffer(_MAX_PACKET_BYTES)
        self._out_address = ctypes.addressof(self._out)
        self._free = weakref.finalize(self, lib.opus_encoder_destroy, handle)
        self._set(_SET_BITRATE, bitrate_bps)
        self._set(_SET_COMPLEXITY, complexity)
        self._set(_SET_SIGNAL, _SIGNAL_VOICE)
        self._set(_SET_INBAND_FEC, int(expected_loss_pct > 0))
        self._set(_SET_PACKET_LOSS_PERC, expected_loss_pct)

    def _set(self, request: int, value: int) -> None:
        handle = ctypes.c_void_p(self._handle)
        code: int = _library().opus_encoder_ctl(handle, ctypes.c_int(request), ctypes.c_int32(value))
        if code != _OK:
            raise _refused(code, f"setting {request} to {value}")

    def encode(self, pcm: bytes) -> bytes:
        """Return one packet of ``pcm``, which is 2.5, 5, 10, 20, 40 or 60 ms long; else :class:`OpusError`."""
        if not self._free.alive:
            raise OpusError("the encoder is closed")
        size: int = self._encode(self._handle, pcm, len(pcm) // 2, self._out_address, _MAX_PACKET_BYTES)
        if size < 0:
            raise _refused(size, f"a frame of {len(pcm)} bytes")
        return ctypes.string_at(self._out_address, size)

    def close(self) -> None:
        """Free the encoder. Harmless when called again."""
        self._free()
