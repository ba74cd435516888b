import { cva, type VariantProps } from "class-variance-authority";
import type { ComponentProps } from "react";
import { cn } from "@/cn";

const badgeVariants = cva(
  "inline-flex items-center gap-1.5 whitespace-nowrap rounded-full px-2.5 py-0.5 text-xs font-medium [&_svg]:size-3",
  {
    variants: {
      tone: {
        plain: "bg-sunken text-ink-soft",
        outline: "border border-line text-ink-soft",
        agent: "bg-agent-wash text-agent-ink",
        caller: "bg-caller-wash text-caller-ink",
        danger: "bg-danger-wash text-danger",
        notice: "bg-notice-wash text-notice",
      },
    },
    defaultVariants: { tone: "plain" },
  },
);

export function Badge({
  className,
  tone,
  ...props
}: ComponentProps<"span"> & VariantProps<typeof badgeVariants>) {
  return <span className={cn(badgeVariants({ tone }), className)} {...props} />;
}
