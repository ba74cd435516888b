import { ChevronRight } from "lucide-react";
import { Collapsible as Radix } from "radix-ui";
import type { ReactNode } from "react";

/** A heading that opens what stands under it. */
export function Disclosure({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Radix.Root>
      <Radix.Trigger className="group flex w-full items-center gap-2 rounded-xl px-5 py-4 text-left font-display font-semibold text-[17px]">
        <ChevronRight className="size-4 text-ink-faint transition-transform group-data-[state=open]:rotate-90" />
        {title}
      </Radix.Trigger>
      <Radix.Content>{children}</Radix.Content>
    </Radix.Root>
  );
}
