import type { ComponentProps } from "react";
import { cn } from "@/cn";

/** Stands where something is still being loaded. */
export function Skeleton({ className, ...props }: ComponentProps<"div">) {
  return <div aria-hidden className={cn("animate-pulse-soft rounded-md bg-sunken", className)} {...props} />;
}
