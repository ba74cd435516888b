import { EventEmitter } from "node:events";
import { DisconnectReason, type Room, RoomEvent, RpcError } from "livekit-client";
import { CallError } from "../src/errors.js";
import { LivekitRoom } from "../src/livekit-room.js";
import type { RoomParts } from "../src/room-parts.js";
import type { JoinOptions, RoomListener } from "../src/room-port.js";

type StreamHandler = (stream: unknown, from: { identity: string }) => void;

/** As much of livekit-client's Room as we use. The test connects it, and speaks as the server. */
export class FakeLivekitRoom extends EventEmitter {
  readonly calls: string[] = [];
  endsWithPage: boolean | undefined;
  readonly streams = new Map<string, StreamHandler>();
  readonly engine = new EventEmitter();
  readonly remoteParticipants = new Map<string, { identity: string; attributes: Record<string, string> }>();
  readonly localParticipant = {
    identity: "user-1",
    trackPublications: new Map([["TR_mic", {}]]),
    publishTrack: async () => void this.calls.push("publish"),
    performRpc: async (asked: { destinationIdentity: string; method: string; payload: string }) => {
      if (asked.method === "unheard-of") throw new RpcError(1400, "Method not supported at destination");
      return `${asked.destinationIdentity} ${asked.method} ${asked.payload}`;
    },
    sendText: async (text: string, { topic }: { topic: string }) =>
      void this.calls.push(`text ${topic} ${text}`),
  };
  #connected!: () => void;
  #refused!: (error: unknown) => void;

  registerTextStreamHandler(topic: string, handler: StreamHandler): void {
    this.streams.set(topic, handler);
  }

  connect(url: string, token: string): Promise<void> {
    this.calls.push(`connect ${url} ${token}`);
    return new Promise((resolve, reject) => {
      this.#connected = resolve;
      this.#refused = reject;
    });
  }

  readonly methods = new Map<string, (data: { payload: string }) => Promise<string>>();

  registerRpcMethod(name: string, method: (data: { payload: string }) => Promise<string>): void {
    this.methods.set(name, method);
  }

  letIn(): void {
    this.emit(RoomEvent.Connected);
    this.#connected();
  }

  /** As livekit-client does it: the event first, then the rejection. */
  refuse(error: unknown): void {
    this.emit(RoomEvent.Disconnected, DisconnectReason.JOIN_FAILURE);
    this.#refused(error);
  }

  sendAgentAudio(): void {
    this.emit(RoomEvent.TrackSubscribed, {
      kind: "audio",
      mediaStreamTrack: "agent audio",
      attach: () => this.calls.push("attach"),
      detach: () => this.calls.push("detach"),
    });
  }

  sendEvent(data: unknown, topic = "oi.event"): void {
    this.emit(RoomEvent.DataReceived, new TextEncoder().encode(JSON.stringify(data)), undefined, 0, topic);
  }

  async disconnect(): Promise<void> {
    this.calls.push("disconnect");
    this.emit(RoomEvent.Disconnected, DisconnectReason.CLIENT_INITIATED);
  }
}

export interface Setup {
  allowed?: boolean;
  openMicrophone?: () => Promise<unknown>;
  play?: () => Promise<void>;
  checkPage?: () => void;
}

export function setUp({ allowed = true, openMicrophone, play, checkPage }: Setup = {}) {
  const told: unknown[] = [];
  const listener: RoomListener = {
    transcript: ({ role, text, final }) => told.push([role, text, final]),
    agentState: (state) => told.push(["agentState", state]),
    suggestions: (phrases) => told.push(["suggestions", phrases]),
    connection: (health) => told.push(["connection", health]),
    microphoneSilent: (silent) => told.push(["microphoneSilent", silent]),
    audioBlocked: () => told.push("audioBlocked"),
    token: (token) => told.push(["token", token]),
    error: (error) => told.push(["error", error.reason]),
    left: (info) => told.push(["left", info.reason, info.error?.reason]),
  };
  const server = new FakeLivekitRoom();
  const microphone = {
    mediaStreamTrack: "microphone",
    stop: () => server.calls.push("microphone off"),
    mute: async () => void server.calls.push("mute"),
    unmute: async () => void server.calls.push("unmute"),
  };
  const element = {
    srcObject: "something",
    play: play ?? (async () => undefined),
    remove: () => server.calls.push("element gone"),
  };
  const meter = {
    watch: (side: string, track: unknown) => void server.calls.push(`watch ${side} ${String(track)}`),
    unwatch: (side: string) => void server.calls.push(`unwatch ${side}`),
    levels: () => ({ user: 0.5, agent: 0.5 }),
    resume: async () => undefined,
    close: async () => void server.calls.push("meter closed"),
  };
  const parts: RoomParts = {
    newRoom: ({ disconnectOnPageLeave }) => {
      server.endsWithPage = disconnectOnPageLeave;
      return server as unknown as Room;
    },
    openMicrophone: async () => {
      server.calls.push("open microphone");
      return (await (openMicrophone ?? (async () => microphone))()) as never;
    },
    newMeter: () => meter,
    newAudioElement: () => element as unknown as HTMLAudioElement,
    checkPage: checkPage ?? (() => undefined),
    microphoneAllowed: async () => allowed,
  };
  const room = new LivekitRoom(listener, parts);
  const join = (options: Partial<JoinOptions> = {}) =>
    room.join({
      serverUrl: "ws://s",
      token: "t",
      microphone: {},
      muted: false,
      audioElement: undefined,
      resumable: false,
      methods: {},
      ...options,
    });
  return { room, server, told, join, microphone, element };
}

export const settle = () => new Promise(setImmediate);

export async function joined(setup: Setup = {}) {
  const all = setUp(setup);
  const joining = all.join();
  await settle();
  all.server.letIn();
  all.server.sendAgentAudio();
  await joining;
  return all;
}

export function failure(reason: string, endReason?: string) {
  return (error: unknown) =>
    error instanceof CallError && error.reason === reason && error.endReason === endReason;
}
