import type { Agent, LanguageModel, Stage } from "@/api/wire";
import { cn } from "@/cn";
import { Snippet } from "@/components/snippet";
import { Card, CardTitle } from "@/components/ui/card";
import { providerLabel, STAGE_NAMES, STAGES } from "./providers";

/** Beside the settings: who serves the agent now, and how a back end calls it. */
export function AgentAside({ agent, model }: { agent: Agent; model: LanguageModel | null }) {
  return (
    <div className="flex min-w-0 flex-col gap-6">
      <Card className="p-6">
        <CardTitle>Served by</CardTitle>
        <dl className="mt-4 flex flex-col gap-3 text-sm">
          {STAGES.map((stage) => (
            <StageRow key={stage} stage={stage} agent={agent} model={model} />
          ))}
        </dl>
      </Card>
      <Card className="p-6">
        <CardTitle>From your back end</CardTitle>
        <p className="mt-2 mb-4 text-ink-soft text-sm">
          With a secret key. What comes back goes to the Web SDK in your page.
        </p>
        <Snippet code={curl(agent.id)} label="Copy the command" />
      </Card>
    </div>
  );
}

function StageRow({ stage, agent, model }: { stage: Stage; agent: Agent; model: LanguageModel | null }) {
  const provider = agent.providers[stage];
  const detail = stage === "llm" && provider !== "demo" ? model?.model : null;
  return (
    <div className="flex items-baseline justify-between gap-4">
      <dt className="text-ink-faint">{STAGE_NAMES[stage].long}</dt>
      <dd className={cn("text-right font-medium", !provider && "text-danger")}>
        {providerLabel(provider)}
        {detail && <span className="block font-mono font-normal text-ink-faint text-xs">{detail}</span>}
      </dd>
    </div>
  );
}

function curl(agentId: string): string {
  return `curl ${window.location.origin}/v1/calls/web \\
  -H "Authorization: Bearer $ONEINBOX_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"agent_id": "${agentId}"}'`;
}
