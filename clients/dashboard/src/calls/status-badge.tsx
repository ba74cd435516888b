import type { CallStatus } from "@/api/wire";
import { cn } from "@/cn";
import { Badge } from "@/components/ui/badge";

const WORDS: Record<
  CallStatus,
  { label: string; tone: "plain" | "agent" | "danger" | "notice" | "outline" }
> = {
  queued: { label: "Queued", tone: "notice" },
  initiated: { label: "Ringing", tone: "notice" },
  in_progress: { label: "Live", tone: "agent" },
  completed: { label: "Completed", tone: "outline" },
  failed: { label: "Failed", tone: "danger" },
};

export const STATUSES = Object.entries(WORDS).map(([value, { label }]) => ({ value, label }));

export function StatusBadge({ status }: { status: CallStatus }) {
  const { label, tone } = WORDS[status] ?? { label: status, tone: "plain" };
  return (
    <Badge tone={tone}>
      <span
        className={cn(
          "size-1.5 rounded-full bg-current",
          status === "in_progress" && "animate-pulse-soft bg-live",
          status === "completed" && "bg-agent",
        )}
      />
      {label}
    </Badge>
  );
}
