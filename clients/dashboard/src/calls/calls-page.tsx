import { ChevronRight, PhoneCall } from "lucide-react";
import { Link, useSearchParams } from "wouter";
import { useAgents } from "@/api/agents";
import { CALLS_PER_PAGE, useCalls } from "@/api/calls";
import { type Call, isLive } from "@/api/wire";
import { Empty, LoadFailed, Page } from "@/components/page";
import { Pager } from "@/components/pager";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Select } from "@/components/ui/select";
import { Skeleton } from "@/components/ui/skeleton";
import { useNow } from "@/components/use-now";
import { ago, clock, duration, moment } from "@/format/time";
import { endWords } from "./end-reasons";
import { STATUSES, StatusBadge } from "./status-badge";

const ANY = "any";

/** All calls, newest first. Filters and page stand in the address, so that a view can be kept and sent. */
export function CallsPage() {
  const [search, setSearch] = useSearchParams();
  const agentId = search.get("agent");
  const status = search.get("status");
  const offset = pageStart(search.get("offset"));
  const calls = useCalls({ agentId, status, offset });
  const agents = useAgents();
  const names = new Map(agents.data?.items.map((agent) => [agent.id, agent.name]));
  const filtered = agentId !== null || status !== null;

  function set(changes: Record<string, string | null>) {
    setSearch((before) => {
      const next = new URLSearchParams(before);
      for (const [name, value] of Object.entries(changes)) {
        if (value === null || value === ANY) next.delete(name);
        else next.set(name, value);
      }
      return next;
    });
  }

  const agentOptions = [
    { value: ANY, label: "Every agent" },
    ...[...names].map(([value, label]) => ({ value, label })),
  ];
  if (agentId !== null && !names.has(agentId)) agentOptions.push({ value: agentId, label: agentId });

  return (
    <Page
      title="Calls"
      lead="Every conversation, as it went."
      actions={
        <>
          <Select
            label="Agent"
            value={agentId ?? ANY}
            onChange={(value) => set({ agent: value, offset: null })}
            options={agentOptions}
            className="max-w-52"
          />
          <Select
            label="Status"
            value={status ?? ANY}
            onChange={(value) => set({ status: value, offset: null })}
            options={[{ value: ANY, label: "Any status" }, ...STATUSES]}
          />
        </>
      }
    >
      {calls.isError ? (
        <LoadFailed error={calls.error} retry={() => void calls.refetch()} />
      ) : calls.isPending ? (
        <Skeleton className="h-96 rounded-xl" />
      ) : calls.data.items.length === 0 && offset === 0 ? (
        <NoCalls filtered={filtered} clear={() => set({ agent: null, status: null, offset: null })} />
      ) : (
        <>
          <CallTable calls={calls.data.items} names={names} />
          <Pager
            page={{ ...calls.data, limit: calls.data.limit || CALLS_PER_PAGE }}
            onOffset={(next) => set({ offset: next === 0 ? null : String(next) })}
            className="mt-6"
          />
        </>
      )}
    </Page>
  );
}

function pageStart(raw: string | null): number {
  const offset = Number(raw ?? 0);
  return Number.isSafeInteger(offset) && offset > 0 ? offset : 0;
}

function NoCalls({ filtered, clear }: { filtered: boolean; clear: () => void }) {
  if (filtered) {
    return (
      <Empty
        icon={PhoneCall}
        title="No calls like that"
        action={
          <Button look="outline" onClick={clear}>
            Show all calls
          </Button>
        }
      >
        No call fits these filters.
      </Empty>
    );
  }
  return (
    <Empty
      icon={PhoneCall}
      title="No calls yet"
      action={
        <Button asChild>
          <Link href="/agents">Talk to an agent</Link>
        </Button>
      }
    >
      Each call leaves a record here: what was said, how long it took to answer, and how it ended.
    </Empty>
  );
}

const COLUMNS = "lg:grid-cols-[112px_minmax(0,1.6fr)_minmax(0,0.9fr)_92px_minmax(0,1fr)_20px]";

function CallTable({ calls, names }: { calls: Call[]; names: Map<string, string> }) {
  const now = useNow(calls.some(isLive) ? 1_000 : 30_000);
  return (
    <Card className="overflow-hidden">
      <div
        aria-hidden
        className={`hidden gap-8 border-b px-6 py-3 font-medium text-ink-faint text-xs lg:grid ${COLUMNS}`}
      >
        <span>Status</span>
        <span>Agent</span>
        <span>Started</span>
        <span className="text-right">Duration</span>
        <span>Ended because</span>
      </div>
      <ul className="divide-y">
        {calls.map((call) => (
          <li key={call.id}>
            <CallRow call={call} agent={call.agent_id ? names.get(call.agent_id) : undefined} now={now} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

function CallRow({ call, agent, now }: { call: Call; agent: string | undefined; now: number }) {
  const started = call.started_at ?? call.created_at;
  const running = call.status === "in_progress" && call.started_at !== null;
  return (
    <Link
      href={`/calls/${call.id}`}
      className={`grid grid-cols-[1fr_auto] items-center gap-x-8 gap-y-1 px-5 py-3.5 transition-colors hover:bg-sunken/60 focus-visible:-outline-offset-2 sm:px-6 ${COLUMNS}`}
    >
      <span className="order-2 lg:order-none">
        <StatusBadge status={call.status} />
      </span>
      <span className="order-1 min-w-0 lg:order-none">
        <span className="block truncate font-medium">{agent ?? "Deleted agent"}</span>
        <span className="block truncate font-mono text-ink-faint text-xs">{call.id}</span>
      </span>
      <span className="order-3 text-ink-soft text-sm lg:order-none" title={moment(started)}>
        {ago(started, now)}
      </span>
      <span className="order-4 text-right text-ink-soft text-sm tabular-nums lg:order-none">
        {running ? clock((now - Date.parse(started)) / 1000) : duration(call.duration_seconds)}
      </span>
      <span className="order-5 col-span-2 truncate text-ink-soft text-sm lg:order-none lg:col-span-1">
        {call.end_reason ? endWords(call.end_reason).label : isLive(call) ? "" : "–"}
      </span>
      <ChevronRight aria-hidden className="order-6 hidden size-4 text-ink-faint lg:order-none lg:block" />
    </Link>
  );
}
