import { Mic } from "lucide-react";
import { type FormEvent, useState } from "react";
import { type AgentDraft, useModel, useSaveAgent } from "@/api/agents";
import { ApiError } from "@/api/http";
import type { Agent, LanguageModel } from "@/api/wire";
import { LoadFailed } from "@/components/page";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Skeleton } from "@/components/ui/skeleton";
import { toast } from "@/components/ui/toast";
import { talkSession } from "@/talk/talk-session";
import { AgentAside } from "./agent-aside";
import { AgentFields } from "./agent-fields";
import { readiness } from "./providers";

interface AgentSettingsProps {
  agent: Agent;
  onTalk: () => void;
}

export function AgentSettings({ agent, onTalk }: AgentSettingsProps) {
  const model = useModel(agent.llm_id);
  if (model.isLoading) return <Skeleton className="h-96 rounded-xl" />;
  if (model.isError) return <LoadFailed error={model.error} retry={() => void model.refetch()} />;
  return (
    <div className="grid items-start gap-6 xl:grid-cols-[minmax(0,1fr)_340px]">
      <SettingsForm agent={agent} model={model.data ?? null} onTalk={onTalk} />
      <AgentAside agent={agent} model={model.data ?? null} />
    </div>
  );
}

function SettingsForm({ agent, model, onTalk }: AgentSettingsProps & { model: LanguageModel | null }) {
  const stored: AgentDraft = {
    name: agent.name,
    first_message: agent.first_message ?? "",
    system_prompt: model?.system_prompt ?? "",
  };
  const [draft, setDraft] = useState(stored);
  const save = useSaveAgent(agent);
  const change = difference(stored, draft);
  const changed = Object.keys(change).length > 0;
  const scripted = model?.provider === "demo";

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const talk = (event.nativeEvent as SubmitEvent).submitter?.id === "save-and-talk";
    const done = () => {
      if (!talk) return toast("Saved. The next call uses it.");
      onTalk();
      void talkSession.start({ id: agent.id, name: draft.name });
    };
    if (changed) save.mutate(change, { onSuccess: done });
    else done();
  }

  return (
    <Card>
      <form onSubmit={submit}>
        <div className="flex flex-col gap-6 p-6 sm:p-8">
          <AgentFields
            draft={draft}
            onChange={setDraft}
            error={save.error instanceof ApiError ? save.error : null}
            promptRows={12}
            scripted={scripted}
          />
        </div>
        <footer className="sticky bottom-0 flex flex-wrap items-center gap-2 rounded-b-xl border-t bg-surface px-6 py-4 sm:px-8">
          <Button type="submit" disabled={!changed || draft.name.trim() === "" || save.isPending}>
            {save.isPending ? "Saving…" : "Save"}
          </Button>
          <Button
            id="save-and-talk"
            type="submit"
            look="outline"
            disabled={draft.name.trim() === "" || save.isPending || readiness(agent).kind === "missing"}
          >
            <Mic /> {changed ? "Save and talk" : "Talk"}
          </Button>
          {changed && (
            <Button look="quiet" onClick={() => setDraft(stored)}>
              Discard changes
            </Button>
          )}
        </footer>
      </form>
    </Card>
  );
}

function difference(stored: AgentDraft, draft: AgentDraft): Partial<AgentDraft> {
  const change: Partial<AgentDraft> = {};
  for (const field of ["name", "first_message", "system_prompt"] as const) {
    const value = field === "name" ? draft[field].trim() : draft[field];
    if (value !== stored[field]) change[field] = value;
  }
  return change;
}
