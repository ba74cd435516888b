import { cva, type VariantProps } from "class-variance-authority";
import { Slot } from "radix-ui";
import type { ComponentProps } from "react";
import { cn } from "@/cn";

const buttonVariants = cva(
  "inline-flex shrink-0 select-none items-center justify-center gap-2 whitespace-nowrap rounded-md font-medium transition-colors disabled:pointer-events-none disabled:opacity-50 [&_svg]:size-4 [&_svg]:shrink-0",
  {
    variants: {
      look: {
        solid: "bg-accent text-on-accent hover:bg-accent-deep",
        outline: "border border-line-strong bg-surface text-ink hover:bg-sunken",
        quiet: "text-ink-soft hover:bg-sunken hover:text-ink",
        danger: "bg-danger text-surface hover:opacity-90",
        "danger-quiet": "text-danger hover:bg-danger-wash",
      },
      size: {
        md: "h-10 px-4 text-sm",
        sm: "h-8 px-3 text-[13px]",
        lg: "h-12 px-6 text-base",
        icon: "size-10",
        "icon-sm": "size-8",
      },
    },
    defaultVariants: { look: "solid", size: "md" },
  },
);

export type ButtonProps = ComponentProps<"button"> &
  VariantProps<typeof buttonVariants> & { asChild?: boolean };

export function Button({ className, look, size, asChild = false, type, ...props }: ButtonProps) {
  const Part = asChild ? Slot.Root : "button";
  return (
    <Part
      type={asChild ? undefined : (type ?? "button")}
      className={cn(buttonVariants({ look, size }), className)}
      {...props}
    />
  );
}
