/** What the next page of this tab has to know of the running call; the token that leads into it is kept by the Web SDK. */
export interface KeptTalk {
  agentId: string;
  agentName: string;
  callId: string;
  activeAtMs: number | null;
  muted: boolean;
}

const STORAGE_KEY = "oneinbox.talk";

/** The call that this tab was in when its page was left or reloaded. It may be over by now. */
export function keptTalk(): KeptTalk | undefined {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "") as Partial<KeptTalk>;
    const { agentId, agentName, callId, activeAtMs, muted } = kept;
    if (typeof agentId !== "string" || typeof agentName !== "string" || typeof callId !== "string") return;
    const since = typeof activeAtMs === "number" ? activeAtMs : null;
    return { agentId, agentName, callId, activeAtMs: since, muted: muted === true };
  } catch {
    return undefined; // nothing is kept, or this page may keep nothing
  }
}

/** Keep the running call for the next page, or nothing any more. */
export function keepTalk(talk: KeptTalk | null): void {
  try {
    if (talk) sessionStorage.setItem(STORAGE_KEY, JSON.stringify(talk));
    else sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // then a reload ends the call: the call itself goes on
  }
}
