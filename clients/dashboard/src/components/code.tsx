import type { ReactNode } from "react";

/** A word of code within a sentence. */
export function Code({ children }: { children: ReactNode }) {
  return (
    <code className="rounded-sm bg-sunken px-1.5 py-0.5 font-mono text-[0.86em] text-ink [overflow-wrap:anywhere]">
      {children}
    </code>
  );
}
