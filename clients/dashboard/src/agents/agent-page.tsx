import { ArrowLeft, PhoneCall, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { useAgent, useDeleteAgent } from "@/api/agents";
import { CopyButton } from "@/components/copy-button";
import { LoadFailed, Page } from "@/components/page";
import { Confirm } from "@/components/ui/alert-dialog";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { Tabs, TabsContent, TabsList, TabsTrigger } from "@/components/ui/tabs";
import { toast } from "@/components/ui/toast";
import { TalkPanel } from "@/talk/talk-panel";
import { AgentSettings } from "./agent-settings";
import { ProviderBadges } from "./provider-badges";

export function AgentPage() {
  const { id = "" } = useParams<{ id: string }>();
  const agent = useAgent(id);
  const [tab, setTab] = useState("talk");
  const back = (
    <Link href="/agents" className="inline-flex items-center gap-1.5 text-ink-faint text-sm hover:text-ink">
      <ArrowLeft className="size-4" /> Agents
    </Link>
  );

  if (agent.isPending) {
    return (
      <Page title="Agent" back={back}>
        <Skeleton className="h-[560px] rounded-xl" />
      </Page>
    );
  }
  if (agent.isError) {
    return (
      <Page title="Agent" back={back}>
        <LoadFailed error={agent.error} retry={() => void agent.refetch()} />
      </Page>
    );
  }
  return (
    <Page
      title={agent.data.name}
      back={back}
      lead={
        <div className="flex flex-wrap items-center gap-x-3 gap-y-2 pt-1">
          <ProviderBadges providers={agent.data.providers} />
          <span className="inline-flex items-center font-mono text-ink-faint text-xs">
            {agent.data.id}
            <CopyButton text={agent.data.id} label="Copy the agent's id" className="size-7" />
          </span>
        </div>
      }
      actions={<AgentActions id={id} name={agent.data.name} />}
    >
      <Tabs value={tab} onValueChange={setTab}>
        <TabsList aria-label="The agent">
          <TabsTrigger value="talk">Talk</TabsTrigger>
          <TabsTrigger value="settings">Settings</TabsTrigger>
        </TabsList>
        <TabsContent value="talk">
          <TalkPanel agent={agent.data} />
        </TabsContent>
        <TabsContent value="settings">
          <AgentSettings key={agent.data.id} agent={agent.data} onTalk={() => setTab("talk")} />
        </TabsContent>
      </Tabs>
    </Page>
  );
}

function AgentActions({ id, name }: { id: string; name: string }) {
  const [, navigate] = useLocation();
  const remove = useDeleteAgent();
  return (
    <>
      <Button asChild look="outline" size="sm">
        <Link href={`/calls?agent=${encodeURIComponent(id)}`}>
          <PhoneCall /> Its calls
        </Link>
      </Button>
      <Confirm
        title={`Delete ${name}?`}
        description="Nobody will be able to call it any more. Its past calls are kept."
        confirm="Delete agent"
        onConfirm={() =>
          remove.mutate(id, {
            onSuccess: () => navigate("/agents"),
            onError: (error) => toast(error.message, "danger"),
          })
        }
      >
        <Button look="danger-quiet" size="icon-sm" aria-label={`Delete ${name}`}>
          <Trash2 />
        </Button>
      </Confirm>
    </>
  );
}
