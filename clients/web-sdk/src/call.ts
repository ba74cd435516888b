import { asCallError, CallError } from "./errors.js";
import type {
  AgentState,
  AnnouncedCallState,
  CallState,
  ConnectionHealth,
  EndInfo,
  EndReason,
  TranscriptSegment,
  VolumeLevels,
} from "./events.js";
import { forgetCall, holdCall, keepCall } from "./kept-call.js";
import { LivekitRoom } from "./livekit-room.js";
import type { PageMethods, RoomListener, RoomPort } from "./room-port.js";

/** How often `onVolume` is called, in milliseconds. */
const VOLUME_INTERVAL_MS = 50;

/** What a call may be told to do, besides where to connect. All of it is optional. */
export interface CallCallbacks {
  /** `connecting`, `active`, `ended`: each at most once, in this order. */
  onStateChange?: ((state: AnnouncedCallState) => void) | undefined;
  /** The call is over, whoever ended it. Called exactly once; nothing is called after it. */
  onEnded?: ((info: EndInfo) => void) | undefined;
  /** A stretch of either side's words, partial or final. */
  onTranscript?: ((segment: TranscriptSegment) => void) | undefined;
  onAgentState?: ((state: AgentState) => void) | undefined;
  /** What the user could say next; replaces what was suggested before. */
  onSuggestions?: ((phrases: string[]) => void) | undefined;
  /** Something failed. Also the error that `connect()` rejects with comes here first. */
  onError?: ((error: CallError) => void) | undefined;
  /** Loudness of both sides, 20 times a second while the call is active. */
  onVolume?: ((levels: VolumeLevels) => void) | undefined;
  /** The browser blocks sound until the user clicks: show a button that calls `startAudio()`. */
  onAudioBlocked?: (() => void) | undefined;
  /**
   * `true` when the server hears nothing but digital silence from the microphone since 3 s (a switch on the headset, a
   * dead device), `false` when something came of it after all. `onError` is told as well: `microphone_silent`.
   */
  onMicrophoneSilent?: ((silent: boolean) => void) | undefined;
  /** `reconnecting` when the line is lost and being restored, `connected` when it is back. */
  onConnectionChange?: ((health: ConnectionHealth) => void) | undefined;
}

export interface CallDevices {
  /** Constraints for the microphone, such as `{deviceId}`. Echo cancellation and the like are on by default. */
  microphone?: MediaTrackConstraints | undefined;
  /** Play the agent's voice here instead of in an element of our own. */
  audioElement?: HTMLAudioElement | undefined;
}

export interface MethodsOption {
  /** Methods of the page that the agent can call, by name. What one throws is the agent's to deal with. */
  methods?: PageMethods | undefined;
}

export interface ResumeOption {
  /**
   * The call outlives its page: after a reload in the same tab, `keptCall()` (or `OneInbox.resume()`) leads back into
   * it. Leaving the page without coming back ends the call only when the server's grace (30 s by default) is over.
   */
  resumable?: boolean | undefined;
}

export interface OneinboxCallOptions extends CallCallbacks, CallDevices, MethodsOption, ResumeOption {
  /** `server_url` of the call's answer. */
  serverUrl: string;
  /** `participant_token` of the same answer. Short-lived, and good for one call. */
  token: string;
}

/**
 * One spoken call, from `connect()` to its end.
 *
 * ```js
 * const call = new OneinboxCall({ serverUrl, token, onStateChange, onEnded });
 * await call.connect();      // asks for the microphone; resolves when both sides can hear each other
 * await call.disconnect();
 * ```
 */
export class OneinboxCall {
  readonly #options: OneinboxCallOptions;
  #state: CallState = "idle";
  #room: RoomPort | undefined;
  #leaving: Promise<void> | undefined;
  #muted = false;
  #microphoneSilent = false;
  #end: EndInfo | undefined;
  #volumeTimer: ReturnType<typeof setInterval> | undefined;
  /** Rejects the `connect()` under way when the call is ended in the middle of it. */
  #giveUp: ((error: CallError) => void) | undefined;
  /** Lets go of what only one tab may hold. */
  #letGo: (() => void) | undefined;

  /** Throws `CallError` when `serverUrl` or `token` is missing. */
  constructor(options: OneinboxCallOptions) {
    checkOptions(options);
    this.#options = { ...options };
  }

  get state(): CallState {
    return this.#state;
  }

  /** Why the call ended; undefined before that. */
  get endReason(): EndReason | undefined {
    return this.#end?.reason;
  }

  get isMuted(): boolean {
    return this.#muted;
  }

  /** Whether nothing but digital silence comes from the microphone, as far as the server can tell. */
  get isMicrophoneSilent(): boolean {
    return this.#microphoneSilent;
  }

  /**
   * Ask for the microphone and connect. Resolves once `active` has been announced: the microphone is being sent and
   * the agent's sound is attached.
   *
   * Rejects with `CallError`; `onError` and `onEnded` have been called by then. After `disconnect()` in the meantime
   * it rejects with reason `ended`. A call connects once: a second `connect()` rejects with `already_started`.
   */
  async connect(): Promise<void> {
    this.#stopIfEnded();
    if (this.#state !== "idle")
      throw new CallError("already_started", "connect() was called twice on one call");
    const givenUp = new Promise<never>((_, reject) => {
      this.#giveUp = reject;
    });
    givenUp.catch(() => undefined); // it may reject when nobody waits for it any more
    this.#announce("connecting");
    this.#stopIfEnded();
    try {
      if (this.#options.resumable) await this.#hold();
      const room = this.openRoom(this.#listener());
      this.#room = room;
      const joined = room.join({
        serverUrl: this.#options.serverUrl,
        token: this.#options.token,
        microphone: this.#options.microphone ?? {},
        muted: this.#muted,
        audioElement: this.#options.audioElement,
        resumable: this.#options.resumable ?? false,
        methods: this.#options.methods ?? {},
      });
      await Promise.race([joined, givenUp]);
      this.#stopIfEnded();
    } catch (error) {
      throw this.#connectFailed(asCallError(error));
    }
    this.#startVolume();
    this.#announce("active");
    this.#stopIfEnded();
  }

  /**
   * End the call. `ended` is announced at once; resolves when the microphone is released. Safe at any time, also
   * before and while connecting, and more than once.
   */
  async disconnect(): Promise<void> {
    this.#finish({ reason: "user_hangup" });
    await this.#leaving;
  }

  /** Stop sending the microphone. Before `connect()`: join muted. */
  async mute(): Promise<void> {
    await this.#setMuted(true);
  }

  async unmute(): Promise<void> {
    await this.#setMuted(false);
  }

  /** Say `text` to the agent as if it had been spoken. Blank text is not sent. */
  async sendText(text: string): Promise<void> {
    const room = this.#activeRoom();
    if (text.trim() !== "") await room.sendText(text);
  }

  /** The same as `sendText()`. */
  async sendMessage(text: string): Promise<void> {
    await this.sendText(text);
  }

  /**
   * Let the agent know something (what the page shows, what is in the cart); it says nothing to it now. It counts as
   * the user's own word: nobody vouches for what a page sends.
   */
  async sendContextualUpdate(text: string): Promise<void> {
    const room = this.#activeRoom();
    if (text.trim() !== "") await room.callMethod("oi.context", text);
  }

  /** Ask the agent to say something. It is asked as the user would ask, and may put it otherwise, or refuse. */
  async say(text: string): Promise<void> {
    const room = this.#activeRoom();
    if (text.trim() !== "") await room.callMethod("oi.say", text);
  }

  /** Press keys of a telephone's keypad: `0`-`9`, `*`, `#`, `A`-`D`. A `#` ends an entry, else two seconds without a key. */
  async sendDigits(digits: string): Promise<void> {
    const room = this.#activeRoom();
    if (!/^[0-9*#A-D]+$/.test(digits)) {
      throw new CallError("invalid_request", "Keys are 0-9, *, # and A-D");
    }
    await room.sendDigits(digits);
  }

  /** Call a method of the agent's: text in, text out. Rejects with `CallError`, reason `method_failed`. */
  async callMethod(method: string, payload = ""): Promise<string> {
    return await this.#activeRoom().callMethod(method, payload);
  }

  /** How loud both sides are at this moment; both 0 when the call is not active. */
  volumeLevels(): VolumeLevels {
    return this.#state === "active" && this.#room ? this.#room.levels() : { user: 0, agent: 0 };
  }

  /** Start the agent's sound where the browser blocked it. Call it from a click handler. */
  async startAudio(): Promise<void> {
    await this.#activeRoom().startAudio();
  }

  /** Change to another microphone (a `deviceId` of `navigator.mediaDevices.enumerateDevices()`). */
  async setInputDevice(deviceId: string): Promise<void> {
    await this.#activeRoom().setInputDevice(deviceId);
  }

  /** Change to another loudspeaker, where the browser can. */
  async setOutputDevice(deviceId: string): Promise<void> {
    await this.#activeRoom().setOutputDevice(deviceId);
  }

  /** @internal The seam: tests put another room here. */
  protected openRoom(listener: RoomListener): RoomPort {
    return new LivekitRoom(listener);
  }

  #listener(): RoomListener {
    const options = this.#options;
    const live = (tell: () => void): void => {
      if (!this.#end) protect(tell);
    };
    return {
      transcript: (segment) => live(() => options.onTranscript?.(segment)),
      agentState: (state) => live(() => options.onAgentState?.(state)),
      suggestions: (phrases) => live(() => options.onSuggestions?.(phrases)),
      connection: (health) => live(() => options.onConnectionChange?.(health)),
      audioBlocked: () => live(() => options.onAudioBlocked?.()),
      microphoneSilent: (silent) =>
        live(() => {
          this.#microphoneSilent = silent;
          protect(() => options.onMicrophoneSilent?.(silent));
          if (silent) {
            options.onError?.(
              new CallError("microphone_silent", "Nothing but silence comes from the microphone"),
            );
          }
        }),
      token: (token) => this.#keep(token),
      error: (error) => live(() => options.onError?.(error)),
      left: (info) => this.#finish(info),
    };
  }

  async #hold(): Promise<void> {
    const letGo = await holdCall(this.#options.token);
    if (this.#end) letGo();
    this.#stopIfEnded();
    this.#letGo = letGo;
    this.#keep(this.#options.token);
  }

  #keep(token: string): void {
    if (this.#options.resumable && !this.#end) keepCall({ serverUrl: this.#options.serverUrl, token });
  }

  async #setMuted(muted: boolean): Promise<void> {
    this.#stopIfEnded();
    this.#muted = muted;
    await this.#room?.setMuted(muted);
  }

  #activeRoom(): RoomPort {
    this.#stopIfEnded();
    if (this.#state !== "active" || !this.#room)
      throw new CallError("not_connected", "The call is not connected yet");
    return this.#room;
  }

  #connectFailed(error: CallError): CallError {
    const reason = error.endReason ?? (error.reason === "ended" ? "ended" : "connect_failed");
    this.#finish(error.reason === "ended" ? { reason } : { reason, error });
    return error;
  }

  /** The one way out: from any state to `ended`, once. */
  #finish(info: EndInfo): void {
    if (this.#end) return;
    this.#end = info;
    clearInterval(this.#volumeTimer);
    this.#leaving = this.#room?.leave();
    if (this.#options.resumable) forgetCall();
    this.#letGo?.();
    const { error } = info;
    if (error) protect(() => this.#options.onError?.(error));
    this.#giveUp?.(this.#endedError());
    this.#announce("ended");
    protect(() => this.#options.onEnded?.(info));
  }

  #announce(state: AnnouncedCallState): void {
    this.#state = state;
    protect(() => this.#options.onStateChange?.(state));
  }

  #startVolume(): void {
    const { onVolume } = this.#options;
    if (!onVolume) return;
    this.#volumeTimer = setInterval(() => protect(() => onVolume(this.volumeLevels())), VOLUME_INTERVAL_MS);
  }

  /** A handler may have ended the call while it was told of its progress. */
  #stopIfEnded(): void {
    if (this.#end) throw this.#endedError();
  }

  #endedError(): CallError {
    const reason = this.#end?.reason ?? "ended";
    return new CallError("ended", `The call is over (${reason})`, { endReason: reason });
  }
}

function checkOptions(options: OneinboxCallOptions): void {
  // plain JavaScript passes whatever a backend answered, also the fields of an error body
  const { serverUrl, token } = options as Partial<Record<keyof OneinboxCallOptions, unknown>>;
  if (typeof token !== "string" || token === "") {
    throw new CallError("token_invalid", "token is missing: did the backend answer with an error?");
  }
  if (typeof serverUrl !== "string" || !/^(wss?|https?):\/\/[^/]/.test(serverUrl)) {
    throw new CallError("token_invalid", `serverUrl is not a ws:// or wss:// address: ${String(serverUrl)}`);
  }
}

/** Run a handler of the page; what it throws is the page's own error, and does not disturb the call. */
function protect(handler: () => void): void {
  try {
    handler();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
