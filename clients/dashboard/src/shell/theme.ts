import { useSyncExternalStore } from "react";

export type ThemeChoice = "system" | "light" | "dark";

// The key and the values are read by public/theme.js before the first paint: keep the two in step.
const KEY = "oneinbox-theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let choice: ThemeChoice = stored();

function stored(): ThemeChoice {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

function show(): void {
  const dark = choice === "dark" || (choice === "system" && system.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  for (const listener of listeners) listener();
}

system.addEventListener("change", show);

export function setTheme(next: ThemeChoice): void {
  choice = next;
  try {
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // Storage is switched off: the choice holds until the page is left.
  }
  show();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** What the reader chose, and what is shown: canvases redraw when the latter changes. */
export function useTheme(): { choice: ThemeChoice; shown: "light" | "dark" } {
  const chosen = useSyncExternalStore(subscribe, () => choice);
  const shown = useSyncExternalStore(subscribe, () =>
    document.documentElement.dataset.theme === "dark" ? "dark" : "light",
  );
  return { choice: chosen, shown };
}
