"""What the scripted providers say, and how long they take: the same for every engine. Standard library only."""

STT_FINAL_S = 0.1
"""From the true end of speech to its final transcript."""
STT_INTERIM_S = 0.2
"""Between interim transcripts, which hold the words said so far."""
LLM_FIRST_S = 0.2
"""From the request to the first token."""
LLM_TOKEN_S = 0.03
TTS_FIRST_S = 0.1
"""From a sentence to the first of its audio."""
TTS_PIECE_S = 0.1
TTS_GAP_S = 0.02
"""Each 20 ms, 100 ms of audio."""
RATE_HZ = 24_000
HEARD_RATE_HZ = 16_000
FRAME_S = 0.02
SECONDS_A_CHARACTER = 0.055

SHORT = "We open at nine and we close at ten."
LONG = (
    "Sure, I can certainly help you with that booking. "
    "Let me check the availability for tonight and see what we have open right now. "
    "We have a lovely table by the window at seven thirty, and another one in the garden at eight. "
    "Please tell me which of the two you would like to have."
)
"""Both begin with a sentence of nine tokens."""
FIRST_SENTENCE_TOKENS = 9
PROVIDERS_S = STT_FINAL_S + LLM_FIRST_S + (FIRST_SENTENCE_TOKENS - 1) * LLM_TOKEN_S + TTS_FIRST_S
"""What the providers take one after the other, from the end of speech to the first sound."""
LONG_CUE = "conference"
"""Whoever says this gets the long answer."""

LEVEL = 8000
"""The agent's voice is a square wave of this height, or of three quarters of it in the short answer, so that its level
tells which answer sounds, and whether it is ducked."""
SHORT_SHARE = 0.75
_PERIOD = 48


def _wave(level: int) -> bytes:
    return b"".join(
        (level if at < _PERIOD // 2 else -level).to_bytes(2, "little", signed=True) for at in range(_PERIOD)
    )


_WAVES = {True: _wave(LEVEL), False: _wave(int(LEVEL * SHORT_SHARE))}


def answer(said: str) -> str:
    """Return the reply to what was said last."""
    return LONG if LONG_CUE in said.lower() else SHORT


def tokens(text: str) -> list[str]:
    """Return the reply as a model streams it."""
    words = text.split(" ")
    return [word + " " for word in words[:-1]] + words[-1:]


def voice(text: str) -> list[bytes]:
    """Return a sentence as pieces of 100 ms of audio."""
    pieces = max(5, round(len(text.strip()) * SECONDS_A_CHARACTER / TTS_PIECE_S))
    wave = _WAVES[text.strip() in LONG]
    return [wave * (int(TTS_PIECE_S * RATE_HZ) // _PERIOD)] * pieces


def level(pcm: bytes) -> float:
    """Return how loud the end of a frame of the agent's voice is, against ``LEVEL``."""
    return abs(int.from_bytes(pcm[-4:-2], "little", signed=True)) / LEVEL
