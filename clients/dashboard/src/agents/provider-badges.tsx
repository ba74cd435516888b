import type { Providers } from "@/api/wire";
import { Badge } from "@/components/ui/badge";
import { Tooltip } from "@/components/ui/tooltip";
import { providerLabel, STAGE_NAMES, STAGES } from "./providers";

/** Who hears, thinks and speaks for an agent; a stage that nobody serves stands out. */
export function ProviderBadges({ providers }: { providers: Partial<Providers> }) {
  return (
    <ul className="flex flex-wrap gap-1.5" aria-label="Providers">
      {STAGES.map((stage) => {
        const provider = providers[stage];
        const { short, long } = STAGE_NAMES[stage];
        return (
          <li key={stage}>
            <Tooltip text={`${long}: ${provider ? providerLabel(provider) : "no provider is configured"}`}>
              <Badge tone={provider ? "plain" : "danger"}>
                <span className="opacity-70">{short}</span>
                {providerLabel(provider)}
              </Badge>
            </Tooltip>
          </li>
        );
      })}
    </ul>
  );
}
