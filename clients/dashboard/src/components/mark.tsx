import { cn } from "@/cn";

/** OneInbox's sign: two voices around one point. */
export function Mark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true" className={cn("size-8", className)} fill="none">
      <path d="M6 16A10 10 0 0 1 16 6" stroke="var(--caller)" strokeWidth="4.4" strokeLinecap="round" />
      <path d="M26 16A10 10 0 0 1 16 26" stroke="var(--agent)" strokeWidth="4.4" strokeLinecap="round" />
      <circle cx="16" cy="16" r="3.6" fill="currentColor" />
    </svg>
  );
}
