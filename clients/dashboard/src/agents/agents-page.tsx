import { AudioLines, Mic, Plus } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { useAgents, useModels } from "@/api/agents";
import type { Agent, LanguageModel } from "@/api/wire";
import { Empty, LoadFailed, Page } from "@/components/page";
import { Pager } from "@/components/pager";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Skeleton } from "@/components/ui/skeleton";
import { useNow } from "@/components/use-now";
import { ago, moment } from "@/format/time";
import { talkSession } from "@/talk/talk-session";
import { NewAgentDialog } from "./new-agent-dialog";
import { ProviderBadges } from "./provider-badges";
import { readiness } from "./providers";

const AGENTS_PER_PAGE = 24;

export function AgentsPage() {
  const [offset, setOffset] = useState(0);
  const agents = useAgents(offset, AGENTS_PER_PAGE);
  const models = useModels();
  const byId = new Map(models.data?.items.map((model) => [model.id, model]));
  const now = useNow(30_000);
  const newAgent = (
    <NewAgentDialog>
      <Button>
        <Plus /> New agent
      </Button>
    </NewAgentDialog>
  );

  return (
    <Page title="Agents" lead="Who answers. Pick one and talk." actions={newAgent}>
      {agents.isError ? (
        <LoadFailed error={agents.error} retry={() => void agents.refetch()} />
      ) : agents.isPending ? (
        <div className="grid gap-5 md:grid-cols-2">
          <Skeleton className="h-52 rounded-xl" />
          <Skeleton className="h-52 rounded-xl" />
        </div>
      ) : agents.data.total === 0 ? (
        <Empty icon={AudioLines} title="No agents yet" action={newAgent}>
          An agent is a name, a first message and a prompt. It is ready to talk as soon as it is made.
        </Empty>
      ) : (
        <>
          <ul className="grid gap-5 md:grid-cols-2">
            {agents.data.items.map((agent) => (
              <li key={agent.id}>
                <AgentCard
                  agent={agent}
                  model={agent.llm_id ? byId.get(agent.llm_id) : undefined}
                  now={now}
                />
              </li>
            ))}
          </ul>
          <Pager page={agents.data} onOffset={setOffset} className="mt-8" />
        </>
      )}
    </Page>
  );
}

interface AgentCardProps {
  agent: Agent;
  model: LanguageModel | undefined;
  now: number;
}

function AgentCard({ agent, model, now }: AgentCardProps) {
  const [, navigate] = useLocation();
  const href = `/agents/${agent.id}`;
  const ready = readiness(agent);

  function talk() {
    navigate(href);
    // The click that brought us here is what lets the browser open the microphone and play sound.
    void talkSession.start(agent);
  }

  return (
    <Card className="group relative flex h-full flex-col p-6 transition-[border-color,box-shadow] hover:border-line-strong hover:shadow-high">
      <div className="flex items-start gap-4">
        <div className="min-w-0 flex-1">
          <h2 className="text-xl [overflow-wrap:anywhere]">
            <Link
              href={href}
              className="after:absolute after:inset-0 after:rounded-xl focus-visible:after:outline-2"
            >
              {agent.name}
            </Link>
          </h2>
          <p className="mt-1 text-[13px] text-ink-faint" title={moment(agent.created_at)}>
            {modelWords(model)} · made {ago(agent.created_at, now)}
          </p>
        </div>
        <Button
          className="relative rounded-full pr-5 pl-4 shadow-lift"
          aria-label={`Talk to ${agent.name}`}
          disabled={ready.kind === "missing"}
          onClick={talk}
        >
          <Mic /> Talk
        </Button>
      </div>
      <p className="mt-4 mb-6 line-clamp-2 text-ink-soft">
        {agent.first_message ? `“${agent.first_message}”` : "Waits for the caller to speak first."}
      </p>
      <div className="relative mt-auto w-fit">
        <ProviderBadges providers={agent.providers} />
      </div>
    </Card>
  );
}

function modelWords(model: LanguageModel | undefined): string {
  if (!model) return "Model";
  if (model.provider === "demo") return "Scripted replies";
  return model.model ?? model.name;
}
