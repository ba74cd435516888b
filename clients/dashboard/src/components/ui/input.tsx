import type { ComponentProps } from "react";
import { cn } from "@/cn";

const field =
  "w-full rounded-md border border-line-strong bg-raised px-3 text-[15px] text-ink placeholder:text-ink-faint transition-colors hover:border-ink-faint focus-visible:border-accent focus-visible:outline-offset-0 disabled:opacity-60 aria-invalid:border-danger";

export function Input({ className, ...props }: ComponentProps<"input">) {
  return <input className={cn(field, "h-10", className)} {...props} />;
}

export function Textarea({ className, ...props }: ComponentProps<"textarea">) {
  return <textarea className={cn(field, "min-h-24 resize-y py-2.5 leading-relaxed", className)} {...props} />;
}
