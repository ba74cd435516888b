import { Keyboard, Scissors, Wrench } from "lucide-react";
import { type Call, isLive, type Message, type SpokenMessage } from "@/api/wire";
import { cn } from "@/cn";
import { Badge } from "@/components/ui/badge";
import { Card, CardTitle } from "@/components/ui/card";
import { Tooltip } from "@/components/ui/tooltip";
import { clock } from "@/format/time";
import type { Player } from "./player";

interface RecordTranscriptProps {
  call: Call;
  agentName: string;
  player: Player | null;
}

/** What was said, when, by whom; an agent's words are those that were really played. A time plays it from there. */
export function RecordTranscript({ call, agentName, player }: RecordTranscriptProps) {
  const messages = call.messages ?? [];
  return (
    <Card className="min-w-0 p-6">
      <CardTitle>Transcript</CardTitle>
      {messages.length === 0 ? (
        <p className="mt-3 text-ink-soft">
          {isLive(call) ? "Nothing has been said yet." : "Nothing was said in this call."}
        </p>
      ) : (
        <ol className="mt-5 flex flex-col gap-5">
          {messages.map((message, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a record's messages are only ever added to
            <li key={index}>
              <Entry message={message} agentName={agentName} player={player} />
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}

interface EntryProps {
  message: Message;
  agentName: string;
  player: Player | null;
}

function Entry({ message, agentName, player }: EntryProps) {
  if (isSpoken(message)) return <Spoken message={message} agentName={agentName} player={player} />;
  return (
    <details className="ml-14 rounded-md bg-sunken px-4 py-2.5 text-sm">
      <summary className="flex cursor-pointer items-center gap-2 text-ink-soft">
        <Wrench className="size-3.5" />
        {message.role === "tool_call"
          ? `Called ${message.name}`
          : message.is_error
            ? "The tool failed"
            : "The tool answered"}
      </summary>
      <pre className="mt-2 overflow-x-auto font-mono text-xs leading-relaxed">
        {message.role === "tool_call" ? message.arguments : message.content}
      </pre>
    </details>
  );
}

function isSpoken(message: Message): message is SpokenMessage {
  return message.role === "agent" || message.role === "user";
}

function Spoken({ message, agentName, player }: EntryProps & { message: SpokenMessage }) {
  const mine = message.role === "user";
  const heardNow = player !== null && isWithin(player.atS, message);
  return (
    <div
      aria-current={heardNow ? "time" : undefined}
      className={cn(
        "-mx-3 grid grid-cols-[40px_minmax(0,1fr)] gap-4 rounded-md px-3 py-1 transition-colors",
        heardNow && (mine ? "bg-caller-wash" : "bg-agent-wash"),
      )}
    >
      <At message={message} player={player} />
      <div className={cn("border-l-[3px] pl-4", mine ? "border-caller" : "border-agent")}>
        <p className="flex flex-wrap items-center gap-2">
          <span className={cn("font-medium text-sm", mine ? "text-caller-ink" : "text-agent-ink")}>
            {mine ? "Caller" : agentName}
          </span>
          {message.interrupted && (
            <Tooltip text="The caller spoke over the agent, which stopped. These are the words that were heard.">
              <Badge tone="caller">
                <Scissors /> interrupted
              </Badge>
            </Tooltip>
          )}
          {message.typed && (
            <Badge tone="plain">
              <Keyboard /> typed
            </Badge>
          )}
        </p>
        <p className="mt-0.5 whitespace-pre-wrap leading-relaxed [overflow-wrap:anywhere]">
          {message.content}
        </p>
      </div>
    </div>
  );
}

function At({ message, player }: { message: SpokenMessage; player: Player | null }) {
  const start = message.start_s;
  const time = (
    <time className="text-[13px] tabular-nums" title={span(message)}>
      {typeof start === "number" ? clock(start) : ""}
    </time>
  );
  if (player === null || typeof start !== "number" || message.typed)
    return <span className="pt-0.5 text-right text-ink-faint">{time}</span>;
  return (
    <button
      type="button"
      aria-label={`Play from ${clock(start)}`}
      className="h-fit pt-0.5 text-right text-accent underline-offset-4 hover:underline"
      onClick={() => player.playFrom(start)}
    >
      {time}
    </button>
  );
}

function isWithin(atS: number | null, { start_s: start, end_s: end }: SpokenMessage): boolean {
  return atS !== null && typeof start === "number" && typeof end === "number" && atS >= start && atS <= end;
}

function span({ start_s: start, end_s: end }: SpokenMessage): string | undefined {
  if (typeof start !== "number" || typeof end !== "number") return undefined;
  return `${start.toFixed(1)} s to ${end.toFixed(1)} s`;
}
