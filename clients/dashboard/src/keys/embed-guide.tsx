import { useState } from "react";
import { useAgents } from "@/api/agents";
import { Snippet } from "@/components/snippet";
import { Select } from "@/components/ui/select";
import { AGENT_PLACEHOLDER, embedSnippet, KEY_PLACEHOLDER } from "./snippet-text";

/** What to paste into a page, for an agent to be chosen. */
export function EmbedGuide({
  apiKey = KEY_PLACEHOLDER,
  heading = true,
}: {
  apiKey?: string;
  heading?: boolean;
}) {
  const agents = useAgents();
  const [chosen, setChosen] = useState<string | null>(null);
  const items = agents.data?.items ?? [];
  const agentId = chosen ?? items[0]?.id ?? AGENT_PLACEHOLDER;
  return (
    <section className={heading ? "mt-12 max-w-3xl" : "min-w-0"}>
      <div className="mb-3 flex flex-wrap items-center justify-between gap-3">
        {heading ? (
          <h2 className="text-lg">In a page of yours</h2>
        ) : (
          <p className="font-medium text-sm">In a page of yours</p>
        )}
        {items.length > 1 && (
          <Select
            label="Agent in the snippet"
            value={agentId}
            onChange={setChosen}
            options={items.map(({ id, name }) => ({ value: id, label: name }))}
            className="h-9 max-w-56"
          />
        )}
      </div>
      <Snippet code={embedSnippet(window.location.origin, apiKey, agentId)} label="Copy the snippet" />
    </section>
  );
}
