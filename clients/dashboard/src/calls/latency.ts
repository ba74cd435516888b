import type { Latency } from "@/api/wire";

/** The parts of a turn's wait, in the order in which they happen. */
export type PartName = "wait" | "stt" | "llm" | "tts" | "other";

export interface Part {
  name: PartName;
  ms: number;
}

export interface TurnLatency {
  turn: number;
  /** Laid end to end from the caller's last speech; parts of no length are left out. */
  parts: Part[];
  /** The parts' sum. */
  totalMs: number;
  /** From the caller's last speech to the reply's first sample, as measured; null where it was not. */
  perceivedMs: number | null;
}

export const PART_LABELS: Record<PartName, string> = {
  wait: "Deciding the turn ended",
  stt: "Transcribing",
  llm: "Model's first token",
  tts: "First audio",
  other: "Tools and knowledge",
};

/** The parts that the API measures, by their names on the wire. */
const MEASURED = ["eou_delay", "stt", "llm_ttft", "tts_ttfb", "perceived"] as const;

/**
 * Group a call's latency by turn: `latency.turns`, and from `latency.events` what stands there alone (tools, knowledge).
 *
 * `stt` (last speech to final transcript) and `eou_delay` (last speech to the decision that the turn ended) both start at
 * the caller's last speech, so they run beside each other and must not be summed: the first of them to end is drawn whole,
 * the other one as what it took longer. Where an event came twice in one turn (a retry), the longest counts.
 */
export function turnLatencies(latency: Pick<Latency, "events" | "turns"> | null | undefined): TurnLatency[] {
  const turns = new Map<number, Map<string, number>>();
  const note = (turn: number, type: string, ms: number | null) => {
    if (ms === null || !Number.isFinite(ms) || ms < 0) return;
    const measured = turns.get(turn) ?? new Map<string, number>();
    measured.set(type, Math.max(ms, measured.get(type) ?? 0));
    turns.set(turn, measured);
  };
  for (const { type, turn, ms } of latency?.events ?? []) note(turn, type, ms);
  for (const parts of latency?.turns ?? []) for (const type of MEASURED) note(parts.turn, type, parts[type]);
  return [...turns.entries()].sort(([a], [b]) => a - b).map(([turn, measured]) => one(turn, measured));
}

const NAMED = new Set<string>(MEASURED);

function one(turn: number, measured: Map<string, number>): TurnLatency {
  const stt = measured.get("stt") ?? 0;
  const decided = measured.get("eou_delay") ?? 0;
  let other = 0;
  for (const [type, ms] of measured) if (!NAMED.has(type)) other += ms;
  const opening: Part[] =
    stt <= decided
      ? [
          { name: "stt", ms: stt },
          { name: "wait", ms: decided - stt },
        ]
      : [
          { name: "wait", ms: decided },
          { name: "stt", ms: stt - decided },
        ];
  const parts = [
    ...opening,
    { name: "other" as const, ms: other },
    { name: "llm" as const, ms: measured.get("llm_ttft") ?? 0 },
    { name: "tts" as const, ms: measured.get("tts_ttfb") ?? 0 },
  ].filter((part) => part.ms > 0);
  return {
    turn,
    parts,
    totalMs: parts.reduce((sum, part) => sum + part.ms, 0),
    perceivedMs: measured.get("perceived") ?? null,
  };
}

/** A round number at or above `value`, for the end of an axis, with its even steps. */
export function axis(value: number): { end: number; ticks: number[] } {
  const top = Math.max(value, 100);
  const rough = top / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? 10 * power;
  const count = Math.ceil(top / step - 1e-9);
  return { end: step * count, ticks: Array.from({ length: count + 1 }, (_, index) => index * step) };
}
