"""Who serves each stage: the whole table."""

import pytest

from oneinbox.api.agents.stages import Wish, Wishes, serve, serving_providers
from oneinbox.api.config import StageDefault, StageDefaults
from oneinbox.core.errors import AppError, ErrorKind, Stage

LOCAL = StageDefault(base_url="http://127.0.0.1:1/v1", api_key="sk-1", model="m", voice="v")
ALL = StageDefaults(stt=LOCAL, llm=LOCAL, tts=LOCAL)
NONE = StageDefaults()
OC = "openai_compatible"


def wishes(llm: str, stt: str, tts: str) -> Wishes:
    return Wishes(llm=Wish(provider=llm), stt=Wish(provider=stt), tts=Wish(provider=tts))


# llm, stt, tts asked for; set up; (stt, llm, tts) served: an adapter, or the error's code
TABLE = [
    ("default", "default", "default", ALL, (OC, OC, OC)),
    ("openai", "openai", "openai", ALL, (OC, OC, OC)),
    (OC, OC, OC, ALL, (OC, OC, OC)),
    ("default", "default", "default", NONE, ("no_stt_configured", "no_llm_configured", "demo")),
    ("openai", "openai", "openai", NONE, ("no_stt_configured", "no_llm_configured", "no_tts_configured")),
    ("default", "default", "demo", ALL, (OC, OC, "demo")),
    ("demo", "default", "default", ALL, ("demo", "demo", "demo")),
    ("demo", "default", "default", NONE, ("demo", "demo", "demo")),
    ("demo", "demo", "demo", ALL, ("demo", "demo", "demo")),
    ("demo", "demo", "openai", ALL, ("demo", "demo", OC)),
    ("demo", "openai", "default", ALL, ("demo_mixed", "demo", "demo")),
    ("demo", "deepgram", "default", ALL, ("demo_mixed", "demo", "demo")),
    ("default", "demo", "default", ALL, ("demo_mixed", OC, OC)),
    ("default", "demo", "default", NONE, ("demo_mixed", "no_llm_configured", "demo")),
    ("anthropic", "deepgram", "cartesia", ALL, ("provider_not_available",) * 3),
    ("", "Default", "DEMO", ALL, ("provider_not_available",) * 3),
]


@pytest.mark.parametrize(("llm", "stt", "tts", "defaults", "expected"), TABLE)
def test_the_table(llm: str, stt: str, tts: str, defaults: StageDefaults, expected: tuple[str, ...]) -> None:
    asked = wishes(llm, stt, tts)
    for stage, result in zip((Stage.STT, Stage.LLM, Stage.TTS), expected, strict=True):
        if result in (OC, "demo"):
            assert serve(stage, asked, defaults, demo_enabled=True).provider == result, stage
            continue
        with pytest.raises(AppError) as refusal:
            serve(stage, asked, defaults, demo_enabled=True)
        assert (refusal.value.code, refusal.value.kind) == (result, ErrorKind.INVALID), stage
        fields = {Stage.STT: "transcriber.provider", Stage.LLM: "llm.provider", Stage.TTS: "tts.provider"}
        assert refusal.value.param == fields[stage]
    shown = serving_providers(asked, defaults, demo_enabled=True)
    assert shown == {
        stage: result if result in (OC, "demo") else None
        for stage, result in zip(("stt", "llm", "tts"), expected, strict=True)
    }


def test_with_the_demo_switched_off_nothing_is_demo() -> None:
    with pytest.raises(AppError, match="provider_not_available"):
        serve(Stage.LLM, wishes("demo", "demo", "demo"), ALL, demo_enabled=False)
    with pytest.raises(AppError, match="no_tts_configured"):
        serve(Stage.TTS, wishes("default", "default", "default"), NONE, demo_enabled=False)


def test_what_was_asked_for_goes_before_the_operators_choice() -> None:
    asked = Wishes(llm=Wish(model="mine"), stt=Wish(), tts=Wish(voice="nova"))
    assert serve(Stage.LLM, asked, ALL, demo_enabled=True).model == "mine"
    assert serve(Stage.STT, asked, ALL, demo_enabled=True).model == "m"
    tts = serve(Stage.TTS, asked, ALL, demo_enabled=True)
    assert (tts.voice, tts.model, tts.base_url, tts.api_key) == ("nova", "m", LOCAL.base_url, "sk-1")


def test_every_way_out_is_named() -> None:
    with pytest.raises(AppError) as refusal:
        serve(Stage.LLM, wishes("default", "default", "default"), NONE, demo_enabled=True)
    for way in ("OPENAI_API_KEY", "ONEINBOX_LLM_BASE_URL", "demo agent"):
        assert way in refusal.value.message


def test_keys_are_not_shown() -> None:
    assert "sk-1" not in repr(ALL)
    assert "sk-1" not in repr(serve(Stage.LLM, wishes("default", "default", "default"), ALL, demo_enabled=True))
