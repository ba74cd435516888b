import type { LucideIcon } from "lucide-react";
import { type ReactNode, useEffect } from "react";
import { ApiError } from "@/api/http";
import { cn } from "@/cn";
import { Button } from "./ui/button";

interface PageProps {
  title: string;
  /** Beneath the title. */
  lead?: ReactNode;
  /** Above the title: the way back. */
  back?: ReactNode;
  actions?: ReactNode;
  className?: string;
  children: ReactNode;
}

/** A page's frame: its heading (also the window's title) with what can be done on it. */
export function Page({ title, lead, back, actions, className, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · OneInbox`;
  }, [title]);
  return (
    <div className={cn("mx-auto w-full max-w-[1180px] px-5 pt-6 pb-16 sm:px-9 sm:pt-9", className)}>
      {back && <div className="mb-3">{back}</div>}
      <header className="mb-7 flex flex-wrap items-end justify-between gap-x-6 gap-y-4">
        <div className="min-w-0 flex-1 basis-64">
          <h1 className="text-[30px] [overflow-wrap:anywhere] sm:text-[36px]">{title}</h1>
          {lead && <div className="mt-2 max-w-2xl text-ink-soft">{lead}</div>}
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

interface EmptyProps {
  icon: LucideIcon;
  title: string;
  children: ReactNode;
  action?: ReactNode;
}

/** Stands where there is nothing yet, and says what would be there. */
export function Empty({ icon: Icon, title, children, action }: EmptyProps) {
  return (
    <div className="flex flex-col items-center rounded-xl border border-line-strong border-dashed px-6 py-16 text-center">
      <span className="mb-5 grid size-14 place-items-center rounded-full bg-accent-wash text-accent">
        <Icon className="size-6" />
      </span>
      <h2 className="text-xl">{title}</h2>
      <div className="mt-2 max-w-md text-ink-soft">{children}</div>
      {action && <div className="mt-6">{action}</div>}
    </div>
  );
}

/** What went wrong with loading, and the way to try again. */
export function LoadFailed({ error, retry }: { error: unknown; retry: () => void }) {
  const known = error instanceof ApiError ? error : null;
  return (
    <div role="alert" className="rounded-xl border border-danger/30 bg-danger-wash px-6 py-8">
      <h2 className="text-lg text-danger">
        {known?.status === 404 ? "Not found" : "This could not be loaded"}
      </h2>
      <p className="mt-1.5 text-ink-soft">
        {known?.message ?? "Something unforeseen happened in this page."}
      </p>
      {known?.requestId && <p className="mt-1 font-mono text-ink-faint text-xs">request {known.requestId}</p>}
      <Button look="outline" size="sm" className="mt-4" onClick={retry}>
        Try again
      </Button>
    </div>
  );
}
