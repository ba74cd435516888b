"""From what is recorded of a call to what the wire shows. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean, median
from typing import cast

from oneinbox.api.agents.schemas import ServingProviders
from oneinbox.api.calls.repo import CallHistory
from oneinbox.api.calls.schemas import (
    AnalysisAnswer,
    CallAnswer,
    CallDirection,
    CallLatencyAnswer,
    CallMessageAnswer,
    CallQuality,
    CallRecording,
    CallType,
    CallWorker,
    ConnectLatency,
    LatencyEvent,
    LatencySummary,
    PerceivedLatency,
    ProviderFailure,
    Status,
    ToolCallAnswer,
    ToolResultAnswer,
    TurnLatency,
)
from oneinbox.api.db.tables import Call, CallLatency, CallMessage
from oneinbox.core.events import EndReason, Role

_OVERLAPPING = frozenset({"stt", "perceived"})
"""Parts that run beside the others: a turn's latency is the sum of those that do not."""
_SECONDS_PER_CREDIT = 60
_RANKS = {Role.USER: 0, Role.AGENT: 3}
"""Of what begins at the same moment: the caller, what the agent does about it, what it says."""
_SPEAKER = {Role.AGENT: "Agent", Role.USER: "User"}


def call_answer(history: CallHistory, recording_url: str | None) -> CallAnswer:
    """Return the record as the wire shows it."""
    call = history.call
    duration_s = call.duration_seconds
    return CallAnswer(
        id=call.id,
        agent_id=call.agent_id,
        type=cast("CallType", call.type),
        status=cast("Status", call.status),
        from_number=call.from_number,
        to_number=call.to_number,
        room_name=call.room_name,
        direction=cast("CallDirection | None", call.direction),
        scheduled_at=call.scheduled_at,
        variables=call.variables,
        started_at=call.started_at,
        ended_at=call.ended_at,
        duration_seconds=duration_s,
        end_reason=call.end_reason,
        end_owner=None if call.end_reason is None else EndReason(call.end_reason).owner.value,
        transcript=transcript_of(in_order(history.messages)),
        messages=timeline(history),
        recording_url=recording_url,
        recording=_recording(history),
        microphone_silent_at_s=call.microphone_silent_at_s,
        analysis=_analysis(call),
        latency=_latency(history),
        quality=None if call.quality is None else CallQuality.model_validate(call.quality),
        provider_failures=[ProviderFailure.model_validate(fault) for fault in history.faults],
        cost_cents=None,
        metadata=call.custom_metadata,
        twilio_call_sid=None,
        outcome=call.outcome,
        ai_summary=None,
        credits_used=None if duration_s is None else round(duration_s / _SECONDS_PER_CREDIT, 4),
        created_at=call.created_at,
        updated_at=call.updated_at,
    )


def _recording(history: CallHistory) -> CallRecording | None:
    recording = history.recording
    if recording is None:
        return None
    return CallRecording.model_validate(
        {
            "status": recording.status,
            "duration_s": recording.duration_s,
            "size_bytes": recording.size_bytes,
            "error": recording.error or recording.delayed_by,
        }
    )


def _place(message: CallMessage) -> tuple[float, int, bool]:
    """By time; of two at the same moment the caller's comes first, being what the other answers."""
    return message.start_s, message.turn, message.role == Role.AGENT


def in_order(messages: Iterable[CallMessage]) -> list[CallMessage]:
    """Return the turns as they were spoken."""
    return sorted(messages, key=_place)


def timeline(history: CallHistory) -> list[CallMessageAnswer | ToolCallAnswer | ToolResultAnswer]:
    """Return what was said and done, in order; a tool's result follows its call at the time when it came."""
    placed: list[tuple[tuple[float, int, int], CallMessageAnswer | ToolCallAnswer | ToolResultAnswer]] = [
        ((message.start_s, message.turn, _RANKS[Role(message.role)]), CallMessageAnswer.model_validate(message))
        for message in history.messages
    ]
    for tool in history.tools:
        asked = ToolCallAnswer(
            role="tool_call",
            name=tool.name,
            arguments=tool.arguments,
            tool_call_id=tool.id,
            turn=tool.turn,
            start_s=tool.start_s,
        )
        placed.append(((tool.start_s, tool.turn, 1), asked))
        if tool.result is not None:
            end_s = round(tool.start_s + (tool.duration_ms or 0.0) / 1000, 3)
            came = ToolResultAnswer(
                role="tool_result",
                tool_call_id=tool.id,
                content=tool.result,
                is_error=tool.is_error,
                turn=tool.turn,
                start_s=end_s,
                duration_ms=tool.duration_ms,
            )
            placed.append(((end_s, tool.turn, 2), came))
    placed.sort(key=lambda pair: pair[0])
    return [message for _, message in placed]


def _analysis(call: Call) -> AnalysisAnswer | None:
    if call.extracted_data is None:
        return None
    return AnalysisAnswer(outcome=call.outcome, summary=None, sentiment=None, extracted_data=call.extracted_data)


def transcript_of(messages: list[CallMessage]) -> str | None:
    """Return the whole conversation as text; ``None`` where nothing was said."""
    lines = [f"{_SPEAKER[Role(message.role)]}: {message.content}" for message in messages]
    return "\n".join(lines) or None


def _latency(history: CallHistory) -> CallLatencyAnswer:
    call = history.call
    by_part: defaultdict[str, list[float]] = defaultdict(list)
    for measured in history.latencies:
        by_part[measured.part].append(measured.ms)
    events = [
        LatencyEvent(type=measured.part, turn=measured.turn, ms=measured.ms)
        for measured in sorted(history.latencies, key=lambda measured: measured.turn)
        if measured.part not in _OVERLAPPING
    ]
    return CallLatencyAnswer(
        llm_ttft=_summary(by_part["llm_ttft"]),
        tts_ttfb=_summary(by_part["tts_ttfb"]),
        eou_delay=_summary(by_part["eou_delay"]),
        stt=_summary(by_part["stt"]),
        events=events,
        turns=_turns(history.latencies),
        connect=_connect(call),
        perceived=_perceived(by_part["perceived"]),
        providers=ServingProviders.model_validate(call.providers),
        worker=_worker(call),
    )


def _summary(samples: list[float]) -> LatencySummary | None:
    if not samples:
        return None
    return LatencySummary(
        avg_ms=round(fmean(samples), 1),
        p50_ms=round(median(samples), 1),
        min_ms=min(samples),
        max_ms=max(samples),
        samples=len(samples),
    )


def _perceived(samples: list[float]) -> PerceivedLatency | None:
    summary = _summary(samples)
    if summary is None:
        return None
    return PerceivedLatency(avg_ms=summary.avg_ms, p50_ms=summary.p50_ms, turns=summary.samples)


def _turns(latencies: Iterable[CallLatency]) -> list[TurnLatency]:
    """Where a part was measured more than once in a turn (a retry, a second request after a tool) it is summed."""
    sums: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for measured in latencies:
        parts = sums[measured.turn]
        parts[measured.part] = parts.get(measured.part, 0.0) + measured.ms
    return [
        TurnLatency(
            turn=turn,
            eou_delay=parts.get("eou_delay"),
            stt=parts.get("stt"),
            llm_ttft=parts.get("llm_ttft"),
            tts_ttfb=parts.get("tts_ttfb"),
            perceived=parts.get("perceived"),
        )
        for turn, parts in sorted(sums.items())
    ]


def _connect(call: Call) -> ConnectLatency:
    return ConnectLatency(
        setup_ms=_sum(call.answer_ms, call.greeting_ms),
        dispatch_to_answer_ms=_sum(call.setup_ms, call.wait_ms),
        answer_to_active_ms=call.answer_ms,
        active_to_greeting_ms=call.greeting_ms,
        prepare_ms=call.setup_ms,
    )


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second


def _worker(call: Call) -> CallWorker | None:
    if call.worker_id is None:
        return None
    return CallWorker(worker_id=call.worker_id, load1=call.worker_load1, mem_pct=call.worker_mem_pct)
