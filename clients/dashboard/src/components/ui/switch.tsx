import { Switch as Radix } from "radix-ui";
import type { ComponentProps } from "react";
import { cn } from "@/cn";

export function Switch({ className, ...props }: ComponentProps<typeof Radix.Root>) {
  return (
    <Radix.Root
      className={cn(
        "relative h-6 w-10 shrink-0 rounded-full bg-line-strong transition-colors data-[state=checked]:bg-accent disabled:opacity-50",
        className,
      )}
      {...props}
    >
      <Radix.Thumb className="block size-4.5 translate-x-[3px] rounded-full bg-surface shadow-sm transition-transform data-[state=checked]:translate-x-[19px]" />
    </Radix.Root>
  );
}
