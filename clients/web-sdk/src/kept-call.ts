import { CallError } from "./errors.js";

/** What leads back into a call after the page was loaded anew. */
export interface KeptCall {
  serverUrl: string;
  /** The newest token: the one that the call was started with, or one that the server gave for coming back. */
  token: string;
}

const STORAGE_KEY = "oneinbox.call";
/** How long the page before may take to let go of the call. */
const LOCK_TIMEOUT_MS = 2_000;

/**
 * The call that this tab was in when its page was left or reloaded, where it was started with `resumable`. It may be
 * over by now: connecting tells.
 */
export function keptCall(): KeptCall | undefined {
  try {
    const { serverUrl, token } = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "") as Partial<KeptCall>;
    return typeof serverUrl === "string" && typeof token === "string" ? { serverUrl, token } : undefined;
  } catch {
    return undefined; // nothing is kept, or this page may keep nothing
  }
}

/** Keep `call` for the next page of this tab. */
export function keepCall({ serverUrl, token }: KeptCall): void {
  try {
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify({ serverUrl, token }));
  } catch {
    // a page that may keep nothing cannot come back: the call itself goes on
  }
}

/** Forget the call, so that no later page comes back into it. */
export function forgetCall(): void {
  try {
    sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // then nothing was kept either
  }
}

/**
 * Hold a call for this tab alone; resolves with what lets go of it. A duplicated tab has the same storage, and must
 * not take the call from the first: rejects with `CallError` (`open_elsewhere`) where another page holds it.
 */
export async function holdCall(token: string): Promise<() => void> {
  const locks = globalThis.navigator?.locks as LockManager | undefined;
  if (!locks) return () => undefined;
  return new Promise((resolve, reject) => {
    const held = (): Promise<void> => new Promise((letGo) => resolve(letGo));
    locks
      .request(`oneinbox.call.${roomOf(token)}`, { signal: AbortSignal.timeout(LOCK_TIMEOUT_MS) }, held)
      .catch(() => reject(new CallError("open_elsewhere", "Another tab is in this call")));
  });
}

/** The room that a token is for, or the token itself where it does not tell. */
function roomOf(token: string): string {
  try {
    const part = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const claims = JSON.parse(atob(part)) as { video?: { room?: unknown } } | null;
    return String(claims?.video?.room ?? token);
  } catch {
    return token;
  }
}
