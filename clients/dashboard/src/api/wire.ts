/** What the REST API sends and takes, as far as these pages use it. */

export interface Page<T> {
  items: T[];
  total: number;
  limit: number;
  offset: number;
}

export type Stage = "stt" | "llm" | "tts";

/** Which provider would serve each stage now; null where none is configured. */
export type Providers = Record<Stage, string | null>;

export interface Agent {
  id: string;
  name: string;
  llm_id: string | null;
  first_message: string | null;
  effective_system_prompt: string | null;
  providers: Providers;
  language: string;
  created_at: string;
  updated_at: string;
}

export interface LanguageModel {
  id: string;
  name: string;
  provider: string;
  model: string | null;
  system_prompt: string;
}

export type CallStatus = "queued" | "initiated" | "in_progress" | "completed" | "failed";

export interface WebCall {
  id: string;
  agent_id: string;
  status: CallStatus;
  room_name: string;
  server_url: string;
  participant_token: string;
  created_at: string;
}

export interface SpokenMessage {
  id: string;
  role: "agent" | "user";
  content: string;
  start_s?: number | null;
  end_s?: number | null;
  interrupted?: boolean | null;
  typed?: boolean | null;
  turn?: number | null;
}

export interface ToolCallMessage {
  role: "tool_call";
  name: string;
  arguments: string;
  tool_call_id: string;
}

export interface ToolResultMessage {
  role: "tool_result";
  tool_call_id: string;
  content: string;
  is_error: boolean;
}

export type Message = SpokenMessage | ToolCallMessage | ToolResultMessage;

export interface PartSummary {
  avg_ms: number;
  p50_ms: number;
  min_ms: number;
  max_ms: number;
  samples: number;
}

export interface LatencyEvent {
  type: string;
  turn: number;
  ms: number;
}

/** All measured parts of one turn, side by side; null where one was not measured. */
export interface TurnParts {
  turn: number;
  eou_delay: number | null;
  stt: number | null;
  llm_ttft: number | null;
  tts_ttfb: number | null;
  perceived: number | null;
}

export interface Latency {
  llm_ttft?: PartSummary | null;
  tts_ttfb?: PartSummary | null;
  eou_delay?: PartSummary | null;
  stt?: PartSummary | null;
  /** The parts that follow one another; what overlaps with them stands in `turns`. */
  events?: LatencyEvent[] | null;
  turns?: TurnParts[] | null;
  connect?: {
    setup_ms?: number | null;
    dispatch_to_answer_ms?: number | null;
    answer_to_active_ms?: number | null;
    active_to_greeting_ms?: number | null;
  } | null;
  perceived?: { avg_ms: number; p50_ms: number; turns: number } | null;
  providers?: Partial<Providers> | null;
  worker?: { worker_id?: string | null; load1?: number | null; mem_pct?: number | null } | null;
}

/** How good the connection was, over the whole call so far. Shares are 0-1; null: not known. */
export interface Quality {
  transport: "udp" | "tcp" | null;
  packets_received: number;
  packets_sent: number;
  /** Of the caller's packets. */
  loss: number;
  late_packets: number;
  concealed_ms: number;
  recovered_ms: number;
  jitter_ms_p50: number | null;
  jitter_ms_p95: number | null;
  round_trip_ms_p50: number | null;
  round_trip_ms_p95: number | null;
  /** Of the agent's packets, as the caller's side reports. */
  agent_loss: number | null;
  agent_jitter_ms: number | null;
  ice_ms: number | null;
  dtls_ms: number | null;
  resumes: number;
  rejoins: number;
  path_changes: number;
  tick_late_ms_p95: number | null;
  ticks_skipped: number;
}

export interface ProviderFailure {
  provider: string;
  stage: string;
  kind: string;
  detail: string;
  at: string;
}

/** What became of a call's recording. */
export interface Recording {
  status: "recording" | "written" | "cut" | "available" | "failed" | "deleting";
  duration_s: number | null;
  size_bytes: number | null;
  error: string | null;
}

export interface Call {
  id: string;
  agent_id: string | null;
  type: string;
  status: CallStatus;
  from_number: string | null;
  to_number: string | null;
  room_name: string | null;
  direction: string | null;
  variables: Record<string, unknown> | null;
  metadata: Record<string, unknown> | null;
  started_at: string | null;
  ended_at: string | null;
  duration_seconds: number | null;
  end_reason: string | null;
  messages: Message[] | null;
  recording_url: string | null;
  recording?: Recording | null;
  microphone_silent_at_s?: number | null;
  latency: Latency | null;
  quality?: Quality | null;
  provider_failures?: ProviderFailure[] | null;
  created_at: string;
  updated_at: string;
}

export interface PublishableKey {
  id: string;
  name: string;
  key_prefix: string;
  last4?: string;
  is_active: boolean;
  allowed_origins: string[];
  last_used_at: string | null;
  created_at: string;
}

export interface NewPublishableKey extends PublishableKey {
  /** The whole key; sent this once. */
  key: string;
}

export interface Me {
  email: string | null;
  name?: string | null;
}

export interface Health {
  status: string;
  version?: string;
}

/** Whether a call can still change. */
export function isLive(call: { status: CallStatus }): boolean {
  return call.status === "queued" || call.status === "initiated" || call.status === "in_progress";
}
