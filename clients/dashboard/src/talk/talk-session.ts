import { useSyncExternalStore } from "react";
import { createWebCall, fetchCall, stopCall } from "@/api/calls";
import { ApiError } from "@/api/http";
import { type Call, isLive } from "@/api/wire";
import { keepTalk, keptTalk } from "./kept-talk";
import { microphoneProblem } from "./microphone";
import { IDLE, isRunning, type Problem, reduce, type TalkEvent, type TalkState } from "./talk-state";
import { type CallClient, openCall, reopenCall } from "./web-sdk";

/** What the Web SDK says of a kept call that is not there any more. */
const OVER: ReadonlySet<string> = new Set(["call_not_found", "token_expired", "token_used", "ended"]);

/**
 * The one call that this page may hold. It stands outside React, so that it goes on while one looks at other pages; the SDK
 * (and livekit-client within it) is loaded when the first call is opened, not before.
 */
export class TalkSession {
  #state: TalkState = IDLE;
  #client: CallClient | null = null;
  /** Counts the calls, so that what an older one still reports is dropped. */
  #generation = 0;
  #typedCount = 0;
  readonly #listeners = new Set<() => void>();

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  snapshot = (): TalkState => this.#state;

  /** Loudness of both sides now, 0-1. Cheap: meant to be asked for each frame. */
  levels(): { user: number; agent: number } {
    return this.#client?.volumeLevels() ?? { user: 0, agent: 0 };
  }

  /** Open a call. Every failure ends in the state `failed` with a problem to show; nothing is thrown. */
  async start(agent: { id: string; name: string }): Promise<void> {
    if (isRunning(this.#state)) return;
    const generation = ++this.#generation;
    const current = () => generation === this.#generation;
    const send = (event: TalkEvent) => {
      if (current()) this.#apply(event);
    };
    send({ type: "start", agentId: agent.id, agentName: agent.name });
    try {
      const problem = await microphoneProblem();
      if (problem) {
        send({ type: "failed", atMs: Date.now(), reason: null, problem });
        return;
      }
      const call = await createWebCall(agent.id);
      if (!current()) return await abandon(call.id);
      send({ type: "created", callId: call.id });
      const client = await openCall({ serverUrl: call.server_url, token: call.participant_token, send });
      if (!current()) return await abandon(call.id);
      this.#client = client;
      await client.connect();
      send({ type: "active", atMs: Date.now() });
    } catch (error) {
      send({ type: "failed", atMs: Date.now(), reason: null, problem: problemFrom(error) });
    }
  }

  /** Go on with the call that this tab was in before its page was reloaded, if it was in one. Throws nothing either. */
  async resume(): Promise<void> {
    const kept = keptTalk();
    if (!kept || isRunning(this.#state)) return;
    const generation = ++this.#generation;
    const current = () => generation === this.#generation;
    let over = false;
    const send = (event: TalkEvent) => {
      if (!current() || over) return;
      over = "problem" in event && OVER.has(event.problem.reason);
      if (!over) this.#apply(event);
    };
    send({ type: "start", agentId: kept.agentId, agentName: kept.agentName });
    send({ type: "found", callId: kept.callId, activeAtMs: kept.activeAtMs, muted: kept.muted });
    try {
      const [client, record] = await Promise.all([reopenCall(send), recordOf(kept.callId)]);
      if (!current()) return await abandon(kept.callId);
      over = client === null || (record !== null && !isLive(record));
      if (client && !over) {
        this.#client = client;
        if (kept.muted) await client.mute();
        await client.connect();
        send({ type: "active", atMs: Date.now() });
      }
    } catch (error) {
      send({ type: "failed", atMs: Date.now(), reason: null, problem: problemFrom(error) });
    }
    if (!over || !current()) return;
    const record = await recordOf(kept.callId);
    const atMs = record?.ended_at ? Date.parse(record.ended_at) : Date.now();
    if (current()) this.#apply({ type: "ended", atMs, reason: record?.end_reason ?? null });
  }

  async hangUp(): Promise<void> {
    const client = this.#client;
    const { phase, callId } = this.#state;
    // Said at once: the button must not wait for the network.
    this.#apply({ type: "ended", atMs: Date.now(), reason: "user_hangup" });
    this.#generation++;
    await client?.disconnect();
    if (phase === "connecting" && client && callId !== null) await abandon(callId);
  }

  async setMuted(muted: boolean): Promise<void> {
    if (!this.#client) return;
    this.#apply({ type: "muted", muted });
    try {
      await (muted ? this.#client.mute() : this.#client.unmute());
    } catch (error) {
      this.#apply({ type: "muted", muted: !muted });
      this.#apply({ type: "notice", problem: problemFrom(error) });
    }
  }

  /** Say `text` by typing or clicking; it takes the caller's turn just as speech does. */
  async sendText(text: string): Promise<void> {
    const words = text.trim();
    if (words === "" || this.#state.phase !== "active" || !this.#client) return;
    this.#apply({ type: "typed", id: String(++this.#typedCount), text: words });
    try {
      await this.#client.sendText(words);
    } catch (error) {
      this.#apply({ type: "notice", problem: problemFrom(error) });
    }
  }

  /** Start the sound where the browser held it back; must be called from a click. */
  async startAudio(): Promise<void> {
    await this.#client?.startAudio();
    this.#apply({ type: "audioBlocked", blocked: false });
  }

  /** Clear away a call that has ended. */
  reset(): void {
    this.#apply({ type: "reset" });
  }

  #apply(event: TalkEvent): void {
    const before = this.#state;
    const next = reduce(before, event);
    if (next === before) return;
    this.#state = next;
    if (next.phase === "ended" || next.phase === "failed") this.#client = null;
    if (next.phase !== before.phase || next.muted !== before.muted) this.#keep(next);
    for (const listener of this.#listeners) listener();
  }

  #keep(state: TalkState): void {
    const { agentId, agentName, callId, activeAtMs, muted } = state;
    const kept = isRunning(state) && agentId !== null && callId !== null;
    keepTalk(kept ? { agentId, agentName, callId, activeAtMs, muted } : null);
  }
}

/** What is on record of a call; null where the server does not tell. */
async function recordOf(callId: string): Promise<Call | null> {
  try {
    return await fetchCall(callId);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return null;
  }
}

/** End a call that nobody will join any more, instead of leaving it to wait for its participant. */
async function abandon(callId: string): Promise<void> {
  try {
    await stopCall(callId);
  } catch (error) {
    // It ends by itself when its time to join is over.
    if (!(error instanceof ApiError)) throw error;
  }
}

/** Any error as something to show: the SDK's have a `reason`, the API's a `code`. */
export function problemFrom(error: unknown): Problem {
  if (error instanceof ApiError) return { reason: error.code, message: error.message };
  if (error instanceof Error) {
    const reason = "reason" in error && typeof error.reason === "string" ? error.reason : "unknown";
    return { reason, message: error.message };
  }
  return { reason: "unknown", message: "The call could not be started." };
}

export const talkSession = new TalkSession();

export function useTalk(): TalkState {
  return useSyncExternalStore(talkSession.subscribe, talkSession.snapshot);
}
