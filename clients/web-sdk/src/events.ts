import type { CallError } from "./errors.js";

/**
 * Where a call stands. `idle` before `connect()`; `connecting`, `active` and `ended` are announced, each at most
 * once and in this order.
 */
export type CallState = "idle" | "connecting" | "active" | "ended";

/** The states that are announced. */
export type AnnouncedCallState = Exclude<CallState, "idle">;

/**
 * Why a call ended. The server's own words (the `end_reason` of the call's record) where it told them, and three of
 * this side's: `connect_failed` (it never became active), `open_elsewhere` (another tab took it over) and `ended` (the
 * server closed it and did not say why).
 */
export type EndReason =
  | "user_hangup"
  | "user_disconnected"
  | "agent_hangup"
  | "end_call_phrase"
  | "silence_timeout"
  | "max_duration"
  | "budget_exhausted"
  | "api_stop"
  | "stt_failed"
  | "llm_failed"
  | "tts_failed"
  | "media_failed"
  | "worker_lost"
  | "server_shutdown"
  | "internal_error"
  | "connect_failed"
  | "open_elsewhere"
  | "ended"
  // a newer server may know more: keep the list above for completion, accept any
  | (string & {});

export interface EndInfo {
  reason: EndReason;
  /** What went wrong, where the call did not end on anybody's wish. */
  error?: CallError;
}

/**
 * A stretch of transcript. The same `segmentId` again replaces what stood before: partial text grows and may
 * change, and an agent's final text is cut to what was really heard when the user spoke over it. `segmentId` is the
 * message's `id` on the call's record and in webhooks (of an agent that used tools in between: its first message's).
 */
export interface TranscriptSegment {
  segmentId: string;
  role: "user" | "agent";
  text: string;
  final: boolean;
}

/** What the agent is doing. A newer server may know more words than these. */
export type AgentState = "initializing" | "idle" | "listening" | "thinking" | "speaking" | (string & {});

/** Loudness of both sides, 0 (silence, -60 dBFS) to 1 (full scale), linear in decibels. */
export interface VolumeLevels {
  user: number;
  agent: number;
}

/** Whether the line holds: `reconnecting` while a lost connection is being restored (the call goes on). */
export type ConnectionHealth = "connected" | "reconnecting";
