import type { CallError } from "./errors.js";
import type { AgentState, ConnectionHealth, EndInfo, TranscriptSegment, VolumeLevels } from "./events.js";

/** The seam below the call: one room of whatever transport. Everything above it is ours to test without a network. */
export interface RoomPort {
  /**
   * Ask for the microphone, connect, publish it, and attach the agent's sound; resolves when both directions stand.
   * Rejects with a `CallError`, everything released. Called once.
   */
  join(options: JoinOptions): Promise<void>;
  /** Say goodbye and release everything, also in the middle of `join`. Never rejects; later calls do nothing. */
  leave(): Promise<void>;
  setMuted(muted: boolean): Promise<void>;
  sendText(text: string): Promise<void>;
  /** Press keys of a telephone's keypad, one after the other. */
  sendDigits(digits: string): Promise<void>;
  /** Call a method of the agent's; rejects with a `CallError`. */
  callMethod(method: string, payload: string): Promise<string>;
  levels(): VolumeLevels;
  startAudio(): Promise<void>;
  setInputDevice(deviceId: string): Promise<void>;
  setOutputDevice(deviceId: string): Promise<void>;
}

export interface JoinOptions {
  serverUrl: string;
  token: string;
  microphone: MediaTrackConstraints;
  muted: boolean;
  audioElement: HTMLAudioElement | undefined;
  /** The call outlives this page: leaving the page does not end it, and the token may have let in an earlier page. */
  resumable: boolean;
  methods: PageMethods;
}

/** Methods of the page that the agent can call, by name: text in, text out (JSON by custom), 15 KiB each. */
export type PageMethods = Readonly<Record<string, (payload: string) => string | Promise<string>>>;

/** What a room tells the call. Methods return at once and do not throw. */
export interface RoomListener {
  transcript(segment: TranscriptSegment): void;
  agentState(state: AgentState): void;
  suggestions(phrases: string[]): void;
  connection(health: ConnectionHealth): void;
  /** The browser plays no sound before a click: `startAudio` from one. */
  audioBlocked(): void;
  /** The microphone delivers nothing but digital silence (true), or after that something came of it (false). */
  microphoneSilent(silent: boolean): void;
  /** A newer token with which a later page can come back into the call. */
  token(token: string): void;
  /** Something failed, and the call goes on. */
  error(error: CallError): void;
  /** The joined room is gone, not by `leave`. Called once, after `join` resolved. */
  left(info: EndInfo): void;
}
