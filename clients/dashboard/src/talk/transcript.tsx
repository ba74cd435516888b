import { Keyboard } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import { cn } from "@/cn";
import type { Line } from "./talk-state";

interface TranscriptProps {
  lines: readonly Line[];
  agentName: string;
  /** Shown where nothing was said yet. */
  empty: ReactNode;
}

const NEAR_END_PX = 80;

/** Both sides as they are heard: partial captions in a lighter ink, final ones solid. Follows the talk unless scrolled up. */
export function Transcript({ lines, agentName, empty }: TranscriptProps) {
  const box = useRef<HTMLDivElement>(null);
  const follow = useRef(true);

  // biome-ignore lint/correctness/useExhaustiveDependencies: each new caption may have made the text longer
  useEffect(() => {
    const element = box.current;
    if (element && follow.current) element.scrollTop = element.scrollHeight;
  }, [lines]);

  return (
    <div
      ref={box}
      role="log"
      aria-label="Transcript"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
      tabIndex={0}
      onScroll={({ currentTarget: at }) => {
        follow.current = at.scrollHeight - at.scrollTop - at.clientHeight < NEAR_END_PX;
      }}
      className="flex min-h-0 flex-1 flex-col gap-4 overflow-y-auto px-5 py-6 sm:px-8"
    >
      {lines.length === 0 ? (
        <div className="m-auto">{empty}</div>
      ) : (
        lines.map((line) => <Bubble key={line.id} line={line} agentName={agentName} />)
      )}
    </div>
  );
}

function Bubble({ line, agentName }: { line: Line; agentName: string }) {
  const mine = line.role === "user";
  return (
    <div
      data-role={line.role}
      data-final={line.final}
      className={cn(
        "flex max-w-[85%] animate-rise flex-col gap-1",
        mine ? "items-end self-end" : "self-start",
      )}
    >
      <span
        className={cn(
          "flex items-center gap-1.5 px-1 font-medium text-xs",
          mine ? "text-caller-ink" : "text-agent-ink",
        )}
      >
        {mine ? "You" : agentName}
        {line.typed && <Keyboard className="size-3" aria-label="typed" />}
      </span>
      <p
        className={cn(
          "w-fit whitespace-pre-wrap rounded-lg px-4 py-2.5 leading-relaxed transition-colors [overflow-wrap:anywhere]",
          mine ? "rounded-tr-sm bg-caller-wash" : "rounded-tl-sm bg-agent-wash",
          line.final ? "text-ink" : "text-ink-faint",
        )}
      >
        {line.text}
      </p>
    </div>
  );
}
