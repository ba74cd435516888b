import { PhoneOff } from "lucide-react";
import { Link, useLocation } from "wouter";
import { Button } from "@/components/ui/button";
import { useNow } from "@/components/use-now";
import { clock } from "@/format/time";
import { talkSession, useTalk } from "./talk-session";
import { isRunning } from "./talk-state";

/** A running call, kept in reach while one looks at other pages. */
export function TalkDock() {
  const talk = useTalk();
  const [path] = useLocation();
  const home = `/agents/${talk.agentId}`;
  if (!isRunning(talk) || path === home) return null;
  return (
    <section
      aria-label="The running call"
      className="fixed inset-x-4 bottom-4 z-30 mx-auto flex w-fit max-w-[calc(100vw-2rem)] animate-rise items-center gap-3 rounded-full border bg-raised py-1.5 pr-1.5 pl-5 shadow-high"
    >
      <span className="size-2 shrink-0 animate-pulse-soft rounded-full bg-live" />
      <Link href={home} className="truncate text-sm hover:underline">
        With <strong className="font-medium">{talk.agentName}</strong>
      </Link>
      {talk.activeAtMs !== null && <Elapsed sinceMs={talk.activeAtMs} />}
      <Button look="danger" size="sm" className="rounded-full" onClick={() => void talkSession.hangUp()}>
        <PhoneOff /> Hang up
      </Button>
    </section>
  );
}

function Elapsed({ sinceMs }: { sinceMs: number }) {
  const now = useNow(500);
  return <span className="text-ink-faint text-sm tabular-nums">{clock((now - sinceMs) / 1000)}</span>;
}
