import { defaultBaseUrl } from "./base-url.js";
import {
  type CallDevices,
  type MethodsOption,
  OneinboxCall,
  type OneinboxCallOptions,
  type ResumeOption,
} from "./call.js";
import { type ConnectionTest, testConnection } from "./connection-test.js";
import { asCallError, CallError } from "./errors.js";
import type {
  AgentState,
  AnnouncedCallState,
  CallState,
  ConnectionHealth,
  EndInfo,
  TranscriptSegment,
  VolumeLevels,
} from "./events.js";
import { keptCall } from "./kept-call.js";
import { requestTest, requestToken } from "./token-request.js";

/** What `on` listens to, and what each listener is given. */
export interface OneInboxEvents {
  state: AnnouncedCallState;
  transcript: TranscriptSegment;
  agentState: AgentState;
  suggestions: string[];
  volume: VolumeLevels;
  audioBlocked: undefined;
  connection: ConnectionHealth;
  microphoneSilent: boolean;
  error: CallError;
  ended: EndInfo;
}

export interface OneInboxOptions {
  /** The server's address. Left out: where the script was served from, else the page's own origin. */
  baseUrl?: string | undefined;
}

export interface StartOptions extends CallDevices, MethodsOption, ResumeOption {
  /** Fill `{{name}}` in the agent's prompt and first message. */
  variables?: Record<string, unknown> | undefined;
  /** Kept on the call's record. */
  metadata?: Record<string, unknown> | undefined;
}

/** A call that a backend has made: `server_url` and `participant_token` of its answer. */
export interface StartWithToken extends CallDevices, MethodsOption, ResumeOption {
  serverUrl: string;
  token: string;
}

/** Why a call cannot be gone on with that is over. */
const OVER: ReadonlySet<string> = new Set(["call_not_found", "token_expired", "token_used", "ended"]);

/** One call from `start()` to its end: its making, then the call itself. */
interface Attempt {
  readonly abort: AbortController;
  call?: OneinboxCall;
  state?: AnnouncedCallState;
}

/**
 * Calls with an agent, one at a time, each by one `start()`.
 *
 * ```js
 * const oi = new OneInbox("oi_pk_...");
 * oi.on("transcript", ({ role, text }) => show(role, text));
 * await oi.start("agt_...");
 * await oi.stop();
 * ```
 */
export class OneInbox {
  readonly #key: string | undefined;
  readonly #baseUrl: string | undefined;
  readonly #listeners = new Map<keyof OneInboxEvents, Set<(value: never) => void>>();
  #attempt: Attempt | undefined;
  #muted = false;
  #callId: string | undefined;

  /**
   * `publishableKey` may be left out where every call is started with a token from a backend.
   *
   * Throws `CallError` (`invalid_key`) for anything else than a publishable key, above all for a secret one.
   */
  constructor(publishableKey?: string, options: OneInboxOptions = {}) {
    checkKey(publishableKey);
    this.#key = publishableKey;
    this.#baseUrl = (options.baseUrl ?? defaultBaseUrl())?.replace(/\/+$/, "");
  }

  /** State of the newest call; `idle` before the first. */
  get state(): CallState {
    return this.#attempt?.state ?? "idle";
  }

  /** Id of the newest call (`call_...`), where it was started with a publishable key. */
  get callId(): string | undefined {
    return this.#callId;
  }

  get isMuted(): boolean {
    return this.#muted;
  }

  /**
   * Start a call with an agent and talk with it: resolves as `OneinboxCall.connect` does, and rejects with
   * `CallError`. While a call is under way it rejects with `already_started`.
   */
  start(agentId: string, options?: StartOptions): Promise<void>;
  start(call: StartWithToken): Promise<void>;
  async start(target: string | StartWithToken, options: StartOptions = {}): Promise<void> {
    if (this.state === "connecting" || this.state === "active") {
      throw new CallError("already_started", "A call is under way");
    }
    const attempt: Attempt = { abort: new AbortController() };
    this.#attempt = attempt;
    this.#callId = undefined;
    this.#announce(attempt, "connecting");
    try {
      const granted = typeof target === "string" ? await this.#requestCall(target, options, attempt) : target;
      if (attempt.abort.signal.aborted) throw new CallError("ended", "The call was ended before it was made");
      attempt.call = this.#newCall(attempt, granted, typeof target === "string" ? options : target);
      if (this.#muted) await attempt.call.mute();
    } catch (error) {
      const failure = asCallError(error);
      this.#finish(attempt, { reason: "connect_failed", error: failure });
      throw failure;
    }
    await attempt.call.connect();
  }

  /**
   * Go on with the call that this tab was in before its page was reloaded, where it was started with `resumable`.
   * Resolves with whether there was one: false too where it has ended meanwhile. Rejects with `CallError`, with
   * `open_elsewhere` where another tab is in the call. What was said so far comes again as `transcript`.
   */
  async resume(devices: CallDevices & MethodsOption = {}): Promise<boolean> {
    const kept = keptCall();
    if (!kept) return false;
    try {
      await this.start({ ...devices, ...kept, resumable: true });
      return true;
    } catch (error) {
      if (error instanceof CallError && OVER.has(error.reason)) return false;
      throw error;
    }
  }

  /** End the call. Safe at any time, and more than once. */
  async stop(): Promise<void> {
    const attempt = this.#attempt;
    if (!attempt) return;
    attempt.abort.abort();
    if (attempt.call) await attempt.call.disconnect();
    else this.#finish(attempt, { reason: "user_hangup" });
  }

  /** The same as `stop()`. */
  hangUp(): Promise<void> {
    return this.stop();
  }

  /** Stop sending the microphone, in this call and the next ones. */
  async mute(): Promise<void> {
    await this.#setMuted(true);
  }

  async unmute(): Promise<void> {
    await this.#setMuted(false);
  }

  /** Say `text` to the agent as if it had been spoken. */
  async sendText(text: string): Promise<void> {
    await this.#runningCall().sendText(text);
  }

  /** Call a method of the agent's: text in, text out. */
  async callMethod(method: string, payload = ""): Promise<string> {
    return await this.#runningCall().callMethod(method, payload);
  }

  /** The same as `sendText()`. */
  async sendMessage(text: string): Promise<void> {
    await this.sendText(text);
  }

  /** Let the agent know something; it says nothing to it now. It counts as the user's own word. */
  async sendContextualUpdate(text: string): Promise<void> {
    await this.#runningCall().sendContextualUpdate(text);
  }

  /** Ask the agent to say something, as the user would ask. */
  async say(text: string): Promise<void> {
    await this.#runningCall().say(text);
  }

  /** Press keys of a telephone's keypad. */
  async sendDigits(digits: string): Promise<void> {
    await this.#runningCall().sendDigits(digits);
  }

  /** How loud both sides are at this moment, 0 to 1. */
  volumeLevels(): VolumeLevels {
    return this.#attempt?.call?.volumeLevels() ?? { user: 0, agent: 0 };
  }

  /** Start the agent's sound after `audioBlocked`. Call it from a click handler. */
  async startAudio(): Promise<void> {
    await this.#runningCall().startAudio();
  }

  async setInputDevice(deviceId: string): Promise<void> {
    await this.#runningCall().setInputDevice(deviceId);
  }

  async setOutputDevice(deviceId: string): Promise<void> {
    await this.#runningCall().setOutputDevice(deviceId);
  }

  /**
   * Find out by which ways sound gets through to the server, before there is a call (see `testConnection`). Needs the
   * publishable key.
   */
  async testConnection(): Promise<ConnectionTest> {
    const { key, baseUrl } = this.#server("testConnection()");
    return await testConnection(await requestTest(baseUrl, key));
  }

  /** Listen to an event of this and all later calls. Returns what ends the listening. */
  on<Name extends keyof OneInboxEvents>(
    name: Name,
    listener: (value: OneInboxEvents[Name]) => void,
  ): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    // a wrapper of its own, so that one function may listen twice and each end is its own
    const heard = (value: OneInboxEvents[Name]): void => listener(value);
    listeners.add(heard);
    return () => {
      listeners.delete(heard);
    };
  }

  /** @internal The seam: tests put another call here. */
  protected createCall(options: OneinboxCallOptions): OneinboxCall {
    return new OneinboxCall(options);
  }

  async #requestCall(agentId: string, options: StartOptions, attempt: Attempt): Promise<StartWithToken> {
    const { key, baseUrl } = this.#server("start(agentId)");
    const { variables, metadata } = options;
    const request = { agentId, variables, metadata };
    const granted = await requestToken(baseUrl, key, request, attempt.abort.signal);
    if (this.#attempt === attempt) this.#callId = granted.callId;
    return granted;
  }

  #server(asked: string): { key: string; baseUrl: string } {
    if (!this.#key) {
      throw new CallError(
        "invalid_key",
        `${asked} needs a publishable key, and new OneInbox() was given none`,
      );
    }
    if (!this.#baseUrl) {
      throw new CallError(
        "server_unreachable",
        "No baseUrl is known: pass one to new OneInbox(key, { baseUrl })",
      );
    }
    return { key: this.#key, baseUrl: this.#baseUrl };
  }

  #newCall(
    attempt: Attempt,
    { serverUrl, token }: StartWithToken,
    devices: CallDevices & MethodsOption & ResumeOption,
  ): OneinboxCall {
    const tell = <Name extends keyof OneInboxEvents>(name: Name) => {
      return (value: OneInboxEvents[Name]): void => this.#emit(name, value);
    };
    return this.createCall({
      serverUrl,
      token,
      microphone: devices.microphone,
      audioElement: devices.audioElement,
      resumable: devices.resumable,
      methods: devices.methods,
      onStateChange: (state) => this.#announce(attempt, state),
      onTranscript: tell("transcript"),
      onAgentState: tell("agentState"),
      onSuggestions: tell("suggestions"),
      onVolume: tell("volume"),
      onAudioBlocked: () => this.#emit("audioBlocked", undefined),
      onConnectionChange: tell("connection"),
      onMicrophoneSilent: tell("microphoneSilent"),
      onError: tell("error"),
      onEnded: tell("ended"),
    });
  }

  /** Tell a state once: `connecting` begins before there is a call, which tells it again. */
  #announce(attempt: Attempt, state: AnnouncedCallState): void {
    if (attempt.state === state) return;
    attempt.state = state;
    this.#emit("state", state);
  }

  /** End an attempt that never had a call; one that has one ends through it. */
  #finish(attempt: Attempt, info: EndInfo): void {
    if (attempt.state === "ended") return;
    if (info.error) this.#emit("error", info.error);
    this.#announce(attempt, "ended");
    this.#emit("ended", info);
  }

  async #setMuted(muted: boolean): Promise<void> {
    this.#muted = muted;
    const call = this.#attempt?.call;
    if (!call || call.state === "ended") return;
    await (muted ? call.mute() : call.unmute());
  }

  #runningCall(): OneinboxCall {
    const call = this.#attempt?.call;
    if (!call) throw new CallError("not_connected", "No call is connected");
    return call;
  }

  #emit<Name extends keyof OneInboxEvents>(name: Name, value: OneInboxEvents[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        (listener as (value: OneInboxEvents[Name]) => void)(value);
      } catch (error) {
        // the page's own error: it reaches the page's error handler and disturbs neither us nor other listeners
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

function checkKey(key: string | undefined): void {
  if (key === undefined || key.startsWith("oi_pk_")) return;
  if (key.startsWith("oi_sk_")) {
    throw new CallError(
      "invalid_key",
      "A SECRET key (oi_sk_...) was given to the browser. Everyone who opens this page can read it and owns your " +
        "account with it: revoke it now, keep secret keys on your server, and create a publishable key for the page",
    );
  }
  throw new CallError("invalid_key", "This is not a publishable key");
}
