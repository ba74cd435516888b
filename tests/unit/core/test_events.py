import msgspec
import pytest

from oneinbox.core.events import AnyCallEvent, CallEnded, CallStatus, EndOwner, EndReason
from oneinbox.core.spec import LlmSpec, SttSpec, TtsSpec


@pytest.mark.parametrize("reason", list(EndReason))
def test_every_end_has_a_final_status_and_an_owner(reason: EndReason) -> None:
    assert reason.status.final
    assert reason.owner in EndOwner


def test_ends_that_did_not_work_are_failed() -> None:
    failed = {reason for reason in EndReason if reason.status is CallStatus.FAILED}
    assert {"worker_lost", "server_lost", "llm_failed", "user_never_joined", "internal_error"} <= failed
    assert {"user_hangup", "api_stop", "max_duration", "silence_timeout", "agent_hangup"}.isdisjoint(failed)


def test_events_survive_the_wire() -> None:
    event = CallEnded(call_id="call_1", reason=EndReason.API_STOP, duration_s=1.5)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=AnyCallEvent) == event


@pytest.mark.parametrize("kind", [LlmSpec, SttSpec, TtsSpec])
def test_a_spec_never_shows_its_key(kind: type) -> None:
    spec = kind(provider="openai_compatible", api_key="sk-very-secret", base_url="http://x")
    assert "sk-very-secret" not in repr(spec)
    assert "sk-very-secret" not in f"{spec} {spec!s}"
