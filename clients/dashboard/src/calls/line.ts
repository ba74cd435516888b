import type { Quality } from "@/api/wire";

/** A share (0-1) as a percentage, fine enough to tell little from nothing. */
export function share(value: number | null): string {
  if (value === null) return "–";
  const percent = value * 100;
  if (percent === 0) return "0 %";
  return percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
}

/** In a word, by the worse direction: the limits are those by which the call's page on the caller's side is told. */
export function judgement(quality: Quality): "Excellent" | "Good" | "Poor" {
  const loss = Math.max(quality.loss, quality.agent_loss ?? 0);
  const jitter = Math.max(quality.jitter_ms_p95 ?? 0, quality.agent_jitter_ms ?? 0);
  if (loss >= 0.1 || jitter >= 100) return "Poor";
  return loss >= 0.03 || jitter >= 40 ? "Good" : "Excellent";
}
