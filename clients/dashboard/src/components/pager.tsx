import { ChevronLeft, ChevronRight } from "lucide-react";
import type { Page } from "@/api/wire";
import { cn } from "@/cn";
import { Button } from "./ui/button";

interface PagerProps {
  page: Page<unknown>;
  onOffset: (offset: number) => void;
  className?: string;
}

/** Which of how many are shown, and the way to the next ones; nothing where all fit on one page. */
export function Pager({ page, onOffset, className }: PagerProps) {
  const { total, limit, offset, items } = page;
  if (total <= limit && offset === 0) return null;
  return (
    <nav aria-label="Pages" className={cn("flex items-center justify-between gap-4 text-sm", className)}>
      <p className="text-ink-faint tabular-nums">
        {items.length === 0 ? "Nothing here" : `${offset + 1}–${offset + items.length}`} of {total}
      </p>
      <div className="flex gap-2">
        <Button
          look="outline"
          size="sm"
          disabled={offset === 0}
          onClick={() => onOffset(Math.max(0, offset - limit))}
        >
          <ChevronLeft /> Newer
        </Button>
        <Button
          look="outline"
          size="sm"
          disabled={offset + items.length >= total}
          onClick={() => onOffset(offset + limit)}
        >
          Older <ChevronRight />
        </Button>
      </div>
    </nav>
  );
}
