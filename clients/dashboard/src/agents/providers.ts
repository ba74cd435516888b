import type { Agent, Providers, Stage } from "@/api/wire";

export const STAGES: readonly Stage[] = ["stt", "llm", "tts"];

export const STAGE_NAMES: Record<Stage, { short: string; long: string }> = {
  stt: { short: "Hears", long: "Speech to text" },
  llm: { short: "Thinks", long: "Language model" },
  tts: { short: "Speaks", long: "Text to speech" },
};

/** A provider's name as people write it. */
export function providerLabel(provider: string | null | undefined): string {
  if (!provider) return "not set";
  if (provider === "openai_compatible") return "OpenAI-compatible";
  if (provider === "openai") return "OpenAI";
  if (provider === "demo") return "Demo";
  return provider.charAt(0).toUpperCase() + provider.slice(1).replaceAll("_", " ");
}

/** What a person must know about this agent before talking to it. */
export type Readiness =
  | { kind: "ready" }
  | { kind: "demo" }
  | { kind: "demo_voice" }
  | { kind: "missing"; stage: Stage };

/** Whether the agent can talk now; the gravest thing first (no model, then no ears, then no voice, then the demo). */
export function readiness({ providers }: Pick<Agent, "providers">): Readiness {
  for (const stage of ["llm", "stt", "tts"] as const) {
    if (providers[stage] === null || providers[stage] === undefined) return { kind: "missing", stage };
  }
  if (isDemo(providers, "llm")) return { kind: "demo" };
  if (isDemo(providers, "tts")) return { kind: "demo_voice" };
  return { kind: "ready" };
}

function isDemo(providers: Providers, stage: Stage): boolean {
  return providers[stage] === "demo";
}
