import { type ClassValue, clsx } from "clsx";
import { twMerge } from "tailwind-merge";

/** Join class names; where two Tailwind classes set the same property the later one wins. */
export function cn(...names: ClassValue[]): string {
  return twMerge(clsx(names));
}
