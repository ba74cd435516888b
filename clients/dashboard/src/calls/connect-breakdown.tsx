import type { Latency } from "@/api/wire";
import { Card, CardTitle } from "@/components/ui/card";
import { millis } from "@/format/time";

const STEPS = [
  { field: "dispatch_to_answer_ms", name: "Until the caller joined", fill: "bg-part-wait" },
  { field: "answer_to_active_ms", name: "Until audio flowed", fill: "bg-part-tts" },
  { field: "active_to_greeting_ms", name: "Until the greeting", fill: "bg-part-llm" },
] as const;

/** How the call came about, from its making to the agent's first sound. */
export function ConnectBreakdown({ connect }: { connect: Latency["connect"] | undefined }) {
  if (!connect) return null;
  const steps = STEPS.map((step) => ({ ...step, ms: connect[step.field] ?? null })).filter(
    (step) => step.ms !== null,
  );
  if (steps.length === 0 && typeof connect.setup_ms !== "number") return null;
  const total = steps.reduce((sum, step) => sum + (step.ms ?? 0), 0);
  return (
    <Card className="p-6">
      <div className="flex items-baseline justify-between gap-4">
        <CardTitle>Connecting</CardTitle>
        {typeof connect.setup_ms === "number" && (
          <p className="text-[13px] text-ink-faint">
            silence before the greeting{" "}
            <span className="font-medium text-ink tabular-nums">{millis(connect.setup_ms)}</span>
          </p>
        )}
      </div>
      {total > 0 && (
        <div aria-hidden className="mt-4 flex h-3 gap-0.5 overflow-hidden rounded-full">
          {steps.map((step) => (
            <div key={step.field} className={step.fill} style={{ flexGrow: step.ms ?? 0, minWidth: 3 }} />
          ))}
        </div>
      )}
      <dl className="mt-4 flex flex-col gap-1.5 text-sm">
        {steps.map((step) => (
          <div key={step.field} className="flex items-center gap-2.5">
            <span aria-hidden className={`size-2.5 rounded-[3px] ${step.fill}`} />
            <dt className="flex-1 text-ink-soft">{step.name}</dt>
            <dd className="tabular-nums">{millis(step.ms)}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}
