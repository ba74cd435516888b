import { ArrowLeft, PhoneOff } from "lucide-react";
import type { ReactNode } from "react";
import { Link, useParams } from "wouter";
import { ProviderBadges } from "@/agents/provider-badges";
import { useAgent } from "@/api/agents";
import { useCall, useStopCall } from "@/api/calls";
import { type Call, isLive } from "@/api/wire";
import { CopyButton } from "@/components/copy-button";
import { LoadFailed, Page } from "@/components/page";
import { Button } from "@/components/ui/button";
import { Card, CardTitle } from "@/components/ui/card";
import { Disclosure } from "@/components/ui/collapsible";
import { Skeleton } from "@/components/ui/skeleton";
import { toast } from "@/components/ui/toast";
import { useNow } from "@/components/use-now";
import { clock, duration, moment } from "@/format/time";
import { ConnectBreakdown } from "./connect-breakdown";
import { endWords } from "./end-reasons";
import { LatencyCard } from "./latency-card";
import { LineCard } from "./line-card";
import { usePlayer } from "./player";
import { ProviderFailures } from "./provider-failures";
import { RecordTranscript } from "./record-transcript";
import { MicrophoneNote, RecordingCard } from "./recording-card";
import { StatusBadge } from "./status-badge";

export function CallPage() {
  const { id = "" } = useParams<{ id: string }>();
  const call = useCall(id);
  const agent = useAgent(call.data?.agent_id ?? null);
  const player = usePlayer(call.data);
  const back = (
    <Link href="/calls" className="inline-flex items-center gap-1.5 text-ink-faint text-sm hover:text-ink">
      <ArrowLeft className="size-4" /> Calls
    </Link>
  );
  if (call.isPending) {
    return (
      <Page title="Call" back={back}>
        <Skeleton className="h-[560px] rounded-xl" />
      </Page>
    );
  }
  if (call.isError) {
    return (
      <Page title="Call" back={back}>
        <LoadFailed error={call.error} retry={() => void call.refetch()} />
      </Page>
    );
  }
  const record = call.data;
  return (
    <Page
      title={agent.data?.name ?? (agent.isLoading ? "Call" : "Deleted agent")}
      back={back}
      lead={
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5 pt-1">
          <StatusBadge status={record.status} />
          <span className="inline-flex items-center font-mono text-ink-faint text-xs">
            {record.id}
            <CopyButton text={record.id} label="Copy the call's id" className="size-7" />
          </span>
        </div>
      }
      actions={
        <>
          {isLive(record) && <StopButton id={record.id} />}
          {agent.data && (
            <Button asChild look="outline" size="sm">
              <Link href={`/agents/${agent.data.id}`}>Open the agent</Link>
            </Button>
          )}
        </>
      }
    >
      <Facts call={record} />
      <MicrophoneNote call={record} />
      <RecordingCard call={record} player={player} />
      <div className="mt-6 grid items-start gap-6 lg:grid-cols-[minmax(0,1.1fr)_minmax(0,1fr)]">
        <RecordTranscript call={record} agentName={agent.data?.name ?? "Agent"} player={player} />
        <div className="flex min-w-0 flex-col gap-6">
          <ProviderFailures failures={record.provider_failures ?? []} />
          <LatencyCard latency={record.latency} live={isLive(record)} />
          <ConnectBreakdown connect={record.latency?.connect} />
          <LineCard quality={record.quality} live={isLive(record)} />
          <Values title="Variables" values={record.variables} />
          <Values title="Metadata" values={record.metadata} />
        </div>
      </div>
      <RawRecord call={record} />
    </Page>
  );
}

function StopButton({ id }: { id: string }) {
  const stop = useStopCall(id);
  return (
    <Button
      look="danger"
      size="sm"
      disabled={stop.isPending}
      onClick={() => stop.mutate(undefined, { onError: (error) => toast(error.message, "danger") })}
    >
      <PhoneOff /> {stop.isPending ? "Stopping…" : "Stop the call"}
    </Button>
  );
}

function Facts({ call }: { call: Call }) {
  const running = call.status === "in_progress" && call.started_at !== null;
  const now = useNow(running ? 1_000 : 0);
  const end = call.end_reason ? endWords(call.end_reason) : null;
  const elapsed = running
    ? clock((now - Date.parse(call.started_at ?? "")) / 1000)
    : duration(call.duration_seconds);
  return (
    <Card>
      <dl className="grid grid-cols-2 gap-x-6 gap-y-5 p-6 lg:grid-cols-4">
        <Fact name="Duration">
          <span className="font-display font-semibold text-[26px] leading-tight tracking-tight tabular-nums">
            {elapsed}
          </span>
        </Fact>
        <Fact name="Ended because" note={end?.meaning}>
          {end?.label ?? (isLive(call) ? "Still going" : "–")}
        </Fact>
        <Fact
          name={call.started_at ? "Started" : "Asked for"}
          note={call.ended_at ? `Ended ${moment(call.ended_at)}` : undefined}
        >
          {moment(call.started_at ?? call.created_at)}
        </Fact>
        <Fact name="Served by">
          {call.latency?.providers ? <ProviderBadges providers={call.latency.providers} /> : "–"}
          {call.latency?.worker?.worker_id && (
            <span className="mt-1.5 block truncate font-mono text-ink-faint text-xs">
              {call.latency.worker.worker_id}
            </span>
          )}
        </Fact>
      </dl>
    </Card>
  );
}

function Fact({ name, note, children }: { name: string; note?: string | undefined; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-[13px] text-ink-faint">{name}</dt>
      <dd className="mt-1 font-medium">{children}</dd>
      {note && <dd className="mt-1 text-[13px] text-ink-faint">{note}</dd>}
    </div>
  );
}

function Values({ title, values }: { title: string; values: Record<string, unknown> | null }) {
  const entries = Object.entries(values ?? {});
  if (entries.length === 0) return null;
  return (
    <Card className="p-6">
      <CardTitle>{title}</CardTitle>
      <dl className="mt-4 grid grid-cols-[minmax(0,auto)_minmax(0,1fr)] gap-x-6 gap-y-2 text-sm">
        {entries.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="font-mono text-[13px] text-ink-faint [overflow-wrap:anywhere]">{name}</dt>
            <dd className="font-mono text-[13px] [overflow-wrap:anywhere]">
              {typeof value === "string" ? value : JSON.stringify(value)}
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

function RawRecord({ call }: { call: Call }) {
  const json = JSON.stringify(call, null, 2);
  return (
    <Card className="mt-6">
      <Disclosure title="The record as JSON">
        <div className="relative border-t">
          <CopyButton
            text={json}
            label="Copy the record"
            caption="Copy"
            className="absolute top-3 right-3 bg-surface"
          />
          <pre
            // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
            tabIndex={0}
            className="max-h-[480px] overflow-auto p-6 font-mono text-[12.5px] leading-relaxed"
          >
            {json}
          </pre>
        </div>
      </Disclosure>
    </Card>
  );
}
