import { X } from "lucide-react";
import { Toast as Radix } from "radix-ui";
import { useSyncExternalStore } from "react";
import { cn } from "@/cn";

interface Toast {
  id: number;
  text: string;
  tone: "plain" | "danger";
}

let toasts: readonly Toast[] = [];
let nextId = 1;
const listeners = new Set<() => void>();

function change(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

/** Say something short at the edge of the window; screen readers hear it too. */
export function toast(text: string, tone: Toast["tone"] = "plain"): void {
  change([...toasts.slice(-2), { id: nextId++, text, tone }]);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function Toaster() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <Radix.Provider duration={5000} swipeDirection="right">
      {shown.map((one) => (
        <Radix.Root
          key={one.id}
          onOpenChange={(open) => !open && change(toasts.filter((other) => other.id !== one.id))}
          className={cn(
            "flex items-center gap-3 rounded-lg border bg-raised px-4 py-3 text-sm shadow-high data-[state=open]:animate-rise",
            one.tone === "danger" && "border-danger/40 text-danger",
          )}
        >
          <Radix.Description className="flex-1">{one.text}</Radix.Description>
          <Radix.Close aria-label="Dismiss" className="text-ink-faint hover:text-ink">
            <X className="size-4" />
          </Radix.Close>
        </Radix.Root>
      ))}
      <Radix.Viewport className="fixed right-4 bottom-4 z-60 flex w-[calc(100vw-2rem)] max-w-sm flex-col gap-2 outline-none" />
    </Radix.Provider>
  );
}
