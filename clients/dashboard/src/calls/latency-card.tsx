import type { Latency } from "@/api/wire";
import { Card, CardTitle } from "@/components/ui/card";
import { millis } from "@/format/time";
import { PART_LABELS, type PartName, turnLatencies } from "./latency";
import { LatencyChart } from "./latency-chart";

const PART_FILLS: Record<PartName, string> = {
  stt: "bg-part-stt",
  wait: "bg-part-wait",
  other: "bg-part-other",
  llm: "bg-part-llm",
  tts: "bg-part-tts",
};

/** How long the caller waited for each reply, and for what. */
export function LatencyCard({ latency, live }: { latency: Latency | null; live: boolean }) {
  const turns = turnLatencies(latency);
  const used = new Set(turns.flatMap((turn) => turn.parts.map((part) => part.name)));
  const perceived = latency?.perceived;
  return (
    <Card className="min-w-0 p-6">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1">
        <CardTitle>Time to answer</CardTitle>
        {perceived && (
          <p className="text-[13px] text-ink-faint">
            heard by the caller, median{" "}
            <span className="font-display font-semibold text-ink text-lg tabular-nums">
              {millis(perceived.p50_ms)}
            </span>
          </p>
        )}
      </div>
      {turns.length === 0 ? (
        <p className="mt-3 text-ink-soft">
          {live ? "Measured with the first reply." : "No reply was measured in this call."}
        </p>
      ) : (
        <>
          <LatencyChart turns={turns} />
          <ul className="mt-4 flex flex-wrap gap-x-5 gap-y-1.5 text-[13px] text-ink-soft">
            {(Object.keys(PART_FILLS) as PartName[])
              .filter((name) => used.has(name))
              .map((name) => (
                <li key={name} className="flex items-center gap-2">
                  <span aria-hidden className={`size-2.5 rounded-[3px] ${PART_FILLS[name]}`} />
                  {PART_LABELS[name]}
                </li>
              ))}
            {turns.some((turn) => turn.perceivedMs !== null) && (
              <li className="flex items-center gap-2">
                <span aria-hidden className="h-3 w-0.5 bg-ink" /> As the caller heard it
              </li>
            )}
          </ul>
          <Summary latency={latency} />
        </>
      )}
    </Card>
  );
}

const SUMMARISED = [
  { field: "stt", name: "Transcript" },
  { field: "eou_delay", name: "Turn end" },
  { field: "llm_ttft", name: "First token" },
  { field: "tts_ttfb", name: "First audio" },
] as const;

function Summary({ latency }: { latency: Latency | null }) {
  const rows = SUMMARISED.flatMap(({ field, name }) => {
    const summary = latency?.[field];
    return summary ? [{ name, summary }] : [];
  });
  if (rows.length === 0) return null;
  return (
    <table className="mt-6 w-full text-sm tabular-nums">
      <thead className="text-left text-ink-faint text-xs">
        <tr className="border-b [&>th]:pb-2 [&>th]:font-medium [&>th:not(:first-child)]:text-right">
          <th scope="col">Part</th>
          <th scope="col">Median</th>
          <th scope="col">Mean</th>
          <th scope="col">Slowest</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ name, summary }) => (
          <tr key={name} className="border-b last:border-0 [&>td]:py-1.5 [&>td]:text-right">
            <th scope="row" className="text-left font-normal text-ink-soft">
              {name}
            </th>
            <td>{millis(summary.p50_ms)}</td>
            <td>{millis(summary.avg_ms)}</td>
            <td>{millis(summary.max_ms)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
