import { providerLabel } from "@/agents/providers";
import type { ProviderFailure } from "@/api/wire";
import { Card, CardTitle } from "@/components/ui/card";
import { moment } from "@/format/time";

/** What a provider did wrong in this call, whether the call went on or not. */
export function ProviderFailures({ failures }: { failures: readonly ProviderFailure[] }) {
  if (failures.length === 0) return null;
  return (
    <Card className="border-danger/40 p-6">
      <CardTitle>Provider failures</CardTitle>
      <ul className="mt-4 flex flex-col gap-4 text-sm">
        {failures.map((failure) => (
          <li key={`${failure.at} ${failure.stage} ${failure.detail}`}>
            <p className="font-medium">
              {providerLabel(failure.provider)} <span className="text-ink-faint">({failure.stage})</span>:{" "}
              <span className="text-danger">{failure.kind.replaceAll("_", " ")}</span>
            </p>
            <p className="text-ink-soft [overflow-wrap:anywhere]">{failure.detail}</p>
            <p className="text-ink-faint text-xs">{moment(failure.at)}</p>
          </li>
        ))}
      </ul>
    </Card>
  );
}
