import type { Agent, Call, CallStatus, LanguageModel, Me, PublishableKey } from "../src/api/wire";

const now = Date.now();
const before = (minutes: number) => new Date(now - minutes * 60_000).toISOString();

export const me: Me = { email: "owner@localhost" };

export const models: LanguageModel[] = [
  { id: "llm_demo", name: "Demo desk", provider: "demo", model: null, system_prompt: "" },
  {
    id: "llm_clinic",
    name: "Clinic",
    provider: "openai",
    model: "gpt-4o-mini",
    system_prompt:
      "You are the front desk of a small dental clinic. Answer in one or two short sentences.\n\nNever give medical advice. Offer the next free appointment.",
  },
  {
    id: "llm_hotel",
    name: "Hotel",
    provider: "default",
    model: "qwen3:8b",
    system_prompt: "You run the night desk.",
  },
  {
    id: "llm_none",
    name: "General",
    provider: "default",
    model: null,
    system_prompt: "You are a helpful voice agent.",
  },
];

function agent(
  id: string,
  name: string,
  llm: string,
  first: string | null,
  providers: Agent["providers"],
  age: number,
): Agent {
  return {
    id,
    name,
    llm_id: llm,
    first_message: first,
    effective_system_prompt: models.find((model) => model.id === llm)?.system_prompt ?? "",
    providers,
    language: "en",
    created_at: before(age),
    updated_at: before(age),
  };
}

export const agents: Agent[] = [
  agent(
    "agt_01k9demo",
    "Demo desk",
    "llm_demo",
    "Hello, this is the OneInbox demo desk. Would you like to book a table, hear our opening hours, or talk to a person?",
    { stt: "demo", llm: "demo", tts: "demo" },
    12,
  ),
  agent(
    "agt_01k9clinic",
    "Harbour Dental",
    "llm_clinic",
    "Harbour Dental, good morning. Are you calling about an appointment?",
    { stt: "openai_compatible", llm: "openai_compatible", tts: "openai_compatible" },
    60 * 26,
  ),
  agent(
    "agt_01k9hotel",
    "Night desk",
    "llm_hotel",
    null,
    { stt: "openai_compatible", llm: "openai_compatible", tts: "demo" },
    60 * 80,
  ),
  agent(
    "agt_01k9none",
    "Untitled agent",
    "llm_none",
    null,
    { stt: null, llm: null, tts: "demo" },
    60 * 24 * 12,
  ),
];

const spoken: Call["messages"] = [
  {
    id: "msg_01k9spoken1",
    role: "agent",
    content: "Harbour Dental, good morning. Are you calling about an appointment?",
    start_s: 0.2,
    end_s: 4.1,
    turn: 0,
  },
  {
    id: "msg_01k9spoken2",
    role: "user",
    content: "Yes, I would like to move mine to next week.",
    start_s: 5,
    end_s: 7.6,
    turn: 1,
  },
  {
    id: "msg_01k9spoken3",
    role: "agent",
    content: "Of course. I have Tuesday at ten, or Thursday at",
    start_s: 8.4,
    end_s: 11.2,
    interrupted: true,
    turn: 1,
  },
  {
    id: "msg_01k9spoken4",
    role: "user",
    content: "Tuesday at ten is fine.",
    start_s: 10.9,
    end_s: 12.3,
    turn: 2,
  },
  { role: "tool_call", name: "book_slot", arguments: '{"day":"tuesday","time":"10:00"}', tool_call_id: "t1" },
  { role: "tool_result", tool_call_id: "t1", content: '{"ok":true}', is_error: false },
  {
    id: "msg_01k9spoken5",
    role: "agent",
    content: "Done: Tuesday at ten with Doctor Voss. Is there anything else?",
    start_s: 13.5,
    end_s: 17.2,
    turn: 2,
  },
  {
    id: "msg_01k9spoken6",
    role: "user",
    content: "no thank you, goodbye",
    start_s: 19.4,
    end_s: 19.4,
    typed: true,
    turn: 3,
  },
  {
    id: "msg_01k9spoken7",
    role: "agent",
    content: "Goodbye, and see you on Tuesday.",
    start_s: 20.1,
    end_s: 22,
    turn: 3,
  },
];

const parts = [
  [1, 296, 212, 341, 128, 738],
  [2, 318, 240, 402, 131, 853],
  [3, 0, 0, 288, 119, 420],
] as const;

function call(
  id: string,
  agentId: string,
  status: CallStatus,
  age: number,
  seconds: number | null,
  reason: string | null,
): Call {
  const started = status === "queued" ? null : before(age);
  return {
    id,
    agent_id: agentId,
    type: "web",
    status,
    from_number: null,
    to_number: null,
    room_name: `web-${id.slice(-8)}`,
    direction: null,
    variables: { customer_name: "Ada" },
    metadata: { page: "/contact", concurrency_at_dispatch: 1 },
    started_at: started,
    ended_at: seconds === null ? null : new Date(now - age * 60_000 + seconds * 1000).toISOString(),
    duration_seconds: seconds,
    end_reason: reason,
    messages: status === "queued" ? [] : status === "in_progress" ? (spoken?.slice(0, 4) ?? []) : spoken,
    recording_url: null,
    latency: {
      stt: { avg_ms: 226, p50_ms: 226, min_ms: 212, max_ms: 240, samples: 2 },
      eou_delay: { avg_ms: 307, p50_ms: 307, min_ms: 296, max_ms: 318, samples: 2 },
      llm_ttft: { avg_ms: 344, p50_ms: 341, min_ms: 288, max_ms: 402, samples: 3 },
      tts_ttfb: { avg_ms: 126, p50_ms: 128, min_ms: 119, max_ms: 131, samples: 3 },
      perceived: { avg_ms: 670, p50_ms: 738, turns: 3 },
      events: parts.flatMap(([turn, eou, stt, llm, tts, heard]) => [
        { type: "eou_delay", turn, ms: eou },
        { type: "stt", turn, ms: stt },
        { type: "llm_ttft", turn, ms: llm },
        { type: "tts_ttfb", turn, ms: tts },
        { type: "perceived", turn, ms: heard },
        ...(turn === 2 ? [{ type: "tool:book_slot", turn, ms: 96 }] : []),
      ]),
      connect: {
        setup_ms: 412,
        dispatch_to_answer_ms: 310,
        answer_to_active_ms: 174,
        active_to_greeting_ms: 38,
      },
      providers: agents.find((one) => one.id === agentId)?.providers ?? {},
      worker: { worker_id: "worker-1", load1: 0.4, mem_pct: 12 },
    },
    quality: {
      transport: "udp",
      packets_received: 1158,
      packets_sent: 1170,
      loss: 0.0104,
      late_packets: 2,
      concealed_ms: 140,
      recovered_ms: 120,
      jitter_ms_p50: 3.1,
      jitter_ms_p95: 11.8,
      round_trip_ms_p50: 38,
      round_trip_ms_p95: 64,
      agent_loss: 0.0004,
      agent_jitter_ms: 2.4,
      ice_ms: 41,
      dtls_ms: 96,
      resumes: 0,
      rejoins: 1,
      path_changes: 1,
      tick_late_ms_p95: 1,
      ticks_skipped: 0,
    },
    created_at: before(age),
    updated_at: before(age),
  };
}

const ENDS = ["user_hangup", "end_call_phrase", "silence_timeout", "user_hangup", "max_duration", "api_stop"];

export const calls: Call[] = [
  call("call_01k9live", "agt_01k9clinic", "in_progress", 0.6, null, null),
  call("call_01k9full", "agt_01k9clinic", "completed", 14, 23.4, "end_call_phrase"),
  call("call_01k9never", "agt_01k9demo", "failed", 31, 0, "user_never_joined"),
  ...Array.from({ length: 40 }, (_, index) => {
    const failed = index % 11 === 6;
    return call(
      `call_01k8${String(1000 + index)}`,
      ["agt_01k9demo", "agt_01k9clinic", "agt_01k9hotel"][index % 3] ?? "agt_gone",
      failed ? "failed" : "completed",
      60 + index * index * 7,
      failed ? 4 : 20 + ((index * 37) % 240),
      failed ? "llm_failed" : (ENDS[index % ENDS.length] ?? null),
    );
  }),
];

export const keys: PublishableKey[] = [
  {
    id: "pk_1",
    name: "Shop front",
    key_prefix: "oi_pk_live_7Qm2",
    is_active: true,
    allowed_origins: ["https://shop.example", "https://*.shop.example"],
    last_used_at: before(9),
    created_at: before(60 * 24 * 9),
  },
  {
    id: "pk_2",
    name: "Staging",
    key_prefix: "oi_pk_live_Zr81",
    is_active: false,
    allowed_origins: ["http://localhost:5173"],
    last_used_at: null,
    created_at: before(60 * 24 * 2),
  },
];
