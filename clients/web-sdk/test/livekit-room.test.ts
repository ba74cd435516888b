import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { ConnectionError, DisconnectReason, type Room, RoomEvent, RpcError } from "livekit-client";
import { CallError } from "../src/errors.js";
import { LivekitRoom, type RoomParts } from "../src/livekit-room.js";
import type { JoinOptions, RoomListener } from "../src/room-port.js";

type StreamHandler = (stream: unknown, from: { identity: string }) => void;

/** As much of livekit-client's Room as we use. The test connects it, and speaks as the server. */
class FakeLivekitRoom extends EventEmitter {
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

interface Setup {
  allowed?: boolean;
  openMicrophone?: () => Promise<unknown>;
  play?: () => Promise<void>;
  checkPage?: () => void;
}

function setUp({ allowed = true, openMicrophone, play, checkPage }: Setup = {}) {
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

describe("methods", () => {
  it("of the page are there before the agent can call them", async () => {
    const { server, join } = setUp();
    void join({ methods: { where: (payload) => `here ${payload}` } }).catch(() => undefined);
    assert.equal(await server.methods.get("where")?.({ payload: "now" }), "here now");
  });

  it("of the agent are called, and their errors told", async () => {
    const { room, server, join } = setUp();
    const joined = join();
    await settle();
    server.letIn();
    server.sendAgentAudio();
    await joined;
    assert.equal(await room.callMethod("add", "1"), "agent add 1");
    await assert.rejects(room.callMethod("unheard-of", ""), (error: CallError) => {
      return error.reason === "method_failed" && error.code === "1400";
    });
  });
});

describe("a call that outlives its page", () => {
  const used = () => ConnectionError.notAllowed("token already used", 401);

  it("is not ended by leaving the page; any other is", async () => {
    for (const resumable of [true, false]) {
      const { server, join } = setUp();
      void join({ resumable }).catch(() => undefined);
      await settle();
      assert.equal(server.endsWithPage, !resumable);
    }
  });

  it("tells of newer tokens", async () => {
    const { server, told, join } = setUp();
    void join({ resumable: true });
    await settle();
    server.engine.emit("tokenRefreshed", "newer");
    assert.deepEqual(told, [["token", "newer"]]);
  });

  it("tries again while the page before still holds the token", async () => {
    const { server, join } = setUp();
    const joined = join({ resumable: true });
    await settle();
    server.refuse(used());
    await new Promise((done) => setTimeout(done, 350));
    assert.equal(server.calls.filter((one) => one.startsWith("connect")).length, 2);
    server.letIn();
    server.sendAgentAudio();
    await joined;
  });

  it("gives up at once where it is not to be resumed, or for another reason", async () => {
    for (const [resumable, error, reason] of [
      [false, used(), "token_used"],
      [true, ConnectionError.notAllowed("the call is over", 401), "call_not_found"],
    ] as const) {
      const { server, join } = setUp();
      const joined = join({ resumable });
      await settle();
      server.refuse(error);
      await assert.rejects(joined, (thrown: CallError) => thrown.reason === reason);
      assert.equal(server.calls.filter((one) => one.startsWith("connect")).length, 1);
    }
  });

  it("ends here when another tab takes it over", async () => {
    const { server, told, join } = setUp();
    const joined = join({ resumable: true });
    await settle();
    server.letIn();
    server.sendAgentAudio();
    await joined;
    server.emit(RoomEvent.Disconnected, DisconnectReason.DUPLICATE_IDENTITY);
    assert.deepEqual(told, [["left", "open_elsewhere", "open_elsewhere"]]);
  });
});

const settle = () => new Promise(setImmediate);

async function joined(setup: Setup = {}) {
  const all = setUp(setup);
  const joining = all.join();
  await settle();
  all.server.letIn();
  all.server.sendAgentAudio();
  await joining;
  return all;
}

function failure(reason: string, endReason?: string) {
  return (error: unknown) =>
    error instanceof CallError && error.reason === reason && error.endReason === endReason;
}

describe("joining", () => {
  it("resolves when the microphone is published and the agent's sound is attached, not before", async () => {
    const { server, join } = setUp();
    let through = false;
    const joining = join().then(() => {
      through = true;
    });
    await settle();
    assert.deepEqual(server.calls, ["open microphone", "connect ws://s t", "watch user microphone"]);
    server.letIn();
    await settle();
    assert.equal(server.calls.at(-1), "publish");
    assert.equal(through, false);
    server.sendAgentAudio();
    await joining;
    assert.deepEqual(server.calls.slice(-2), ["attach", "watch agent agent audio"]);
  });

  it("takes the agent's sound that came before the microphone was open", async () => {
    let open!: (microphone: unknown) => void;
    const { server, join, microphone } = setUp({
      openMicrophone: () =>
        new Promise((resolve) => {
          open = resolve;
        }),
    });
    const joining = join();
    await settle();
    server.letIn();
    server.sendAgentAudio();
    open(microphone);
    await joining;
    assert.ok(server.calls.includes("watch agent agent audio"));
  });

  it("asks for the microphone first where the user will be asked: the token is not spent on a refusal", async () => {
    const { server, join } = setUp({
      allowed: false,
      openMicrophone: async () => {
        throw Object.assign(new Error("no"), { name: "NotAllowedError" });
      },
    });
    await assert.rejects(join(), failure("microphone_denied"));
    await settle();
    assert.deepEqual(
      server.calls,
      ["open microphone", "disconnect", "meter closed", "element gone"].sort(
        (a, b) => server.calls.indexOf(a) - server.calls.indexOf(b),
      ),
    );
    assert.ok(!server.calls.some((call) => call.startsWith("connect")));
  });

  it("names what keeps the page from having a microphone, and opens nothing", async () => {
    const { server, join } = setUp({
      checkPage: () => {
        throw new CallError("insecure_context", "http");
      },
    });
    await assert.rejects(join(), failure("insecure_context"));
    assert.ok(!server.calls.includes("open microphone"));
  });

  it("tells the server's refusal, not the disconnection that comes with it, and lets everything go", async () => {
    const { server, join, told } = setUp();
    const joining = assert.rejects(join(), failure("token_used"));
    await settle();
    server.refuse(ConnectionError.notAllowed("the token has been used", 401));
    await joining;
    await settle();
    for (const gone of ["microphone off", "element gone", "meter closed", "disconnect"]) {
      assert.ok(server.calls.includes(gone), gone);
    }
    assert.deepEqual(told, []);
  });

  it("fails when the line is lost between connecting and hearing the agent", async () => {
    const { server, join, told } = setUp();
    const joining = assert.rejects(join(), failure("server_unreachable"));
    await settle();
    server.letIn();
    await settle();
    server.emit(RoomEvent.Disconnected, DisconnectReason.SIGNAL_CLOSE);
    await joining;
    assert.deepEqual(told, []);
  });

  it("fails with the server's reason when the call is stopped meanwhile", async () => {
    const { server, join } = setUp();
    const joining = assert.rejects(join(), failure("ended", "api_stop"));
    await settle();
    server.letIn();
    await settle();
    server.sendEvent({ type: "call_ended", reason: "api_stop" });
    server.emit(RoomEvent.Disconnected, DisconnectReason.ROOM_DELETED);
    await joining;
  });

  it("fails when no agent comes", async (t) => {
    const { server, join } = setUp();
    const joining = assert.rejects(join(), failure("media_failed"));
    await settle();
    t.mock.timers.enable({ apis: ["setTimeout"] });
    server.letIn();
    await settle();
    t.mock.timers.tick(15_000);
    await joining;
  });

  it("turns the microphone off again when it is allowed only after the user has left", async () => {
    let open!: (microphone: unknown) => void;
    const { room, server, join, microphone } = setUp({
      allowed: false,
      openMicrophone: () =>
        new Promise((resolve) => {
          open = resolve;
        }),
    });
    const joining = assert.rejects(join(), failure("ended"));
    await settle();
    await room.leave();
    open(microphone);
    await joining;
    assert.ok(server.calls.includes("microphone off"));
    assert.ok(!server.calls.some((call) => call.startsWith("connect")));
  });

  it("joins muted when told so", async () => {
    const { server, join } = setUp();
    const joining = join({ muted: true });
    await settle();
    assert.ok(server.calls.indexOf("mute") > server.calls.indexOf("open microphone"));
    server.letIn();
    server.sendAgentAudio();
    await joining;
  });
});

describe("in the room", () => {
  it("tells the user's words from the agent's", async () => {
    const { server, told } = await joined();
    const handler = server.streams.get("lk.transcription");
    const say = async (text: string, identity: string, attributes: Record<string, string>) => {
      async function* pieces() {
        yield text;
      }
      handler?.(Object.assign(pieces(), { info: { id: text, attributes } }), { identity });
      await settle();
    };
    const final = { "lk.transcription_final": "true" };
    await say("Hello, I am the agent", "agent", final);
    await say("Hello agent", "user-1", final);
    await say("by my track", "agent", { ...final, "lk.transcribed_track_id": "TR_mic" });
    await say("by its track", "agent", { ...final, "lk.transcribed_track_id": "TR_agent" });
    assert.deepEqual(told, [
      ["agent", "Hello, I am the agent", true],
      ["user", "Hello agent", true],
      ["user", "by my track", true],
      ["agent", "by its track", true],
    ]);
  });

  it("tells the agent's attributes when they change, from the first moment, and not the user's own", async () => {
    const { server, join, told } = setUp();
    const agent = {
      identity: "agent",
      attributes: { "lk.agent.state": "initializing" } as Record<string, string>,
    };
    server.remoteParticipants.set("agent", agent);
    const joining = join();
    await settle();
    server.letIn();
    server.sendAgentAudio();
    await joining;
    agent.attributes = { "lk.agent.state": "speaking", "oi.suggestions": '["Yes","No"]' };
    server.emit(RoomEvent.ParticipantAttributesChanged, {}, agent);
    server.emit(RoomEvent.ParticipantAttributesChanged, {}, agent);
    agent.attributes = { "lk.agent.state": "speaking", "oi.suggestions": "not a list" };
    server.emit(RoomEvent.ParticipantAttributesChanged, {}, agent);
    Object.assign(server.localParticipant, { attributes: { "lk.agent.state": "idle" } });
    server.emit(RoomEvent.ParticipantAttributesChanged, {}, server.localParticipant);
    assert.deepEqual(told, [
      ["agentState", "initializing"],
      ["agentState", "speaking"],
      ["suggestions", ["Yes", "No"]],
    ]);
  });

  it("says why the call ended, in the server's words where it told them", async () => {
    const ends: [unknown, DisconnectReason | undefined, unknown[]][] = [
      [
        { type: "call_ended", reason: "silence_timeout" },
        DisconnectReason.ROOM_DELETED,
        ["left", "silence_timeout", undefined],
      ],
      [undefined, DisconnectReason.ROOM_DELETED, ["left", "ended", undefined]],
      [undefined, DisconnectReason.SERVER_SHUTDOWN, ["left", "server_shutdown", "server_unreachable"]],
      [undefined, DisconnectReason.SIGNAL_CLOSE, ["left", "user_disconnected", "server_unreachable"]],
      [undefined, undefined, ["left", "user_disconnected", "server_unreachable"]],
      [{ type: "something_new" }, undefined, ["left", "user_disconnected", "server_unreachable"]],
    ];
    for (const [event, reason, expected] of ends) {
      const { server, told } = await joined();
      if (event) server.sendEvent(event);
      server.emit(RoomEvent.Disconnected, reason);
      await settle();
      assert.deepEqual(told, [expected]);
      assert.ok(server.calls.includes("microphone off"));
    }
  });

  it("tells of a microphone that the server hears nothing of", async () => {
    const { server, told } = await joined();
    server.sendEvent({ type: "microphone", silent: true });
    server.sendEvent({ type: "microphone", silent: false });
    server.sendEvent({ type: "microphone", silent: "maybe" });
    server.sendEvent({ type: "microphone", silent: true }, "another.topic");
    assert.deepEqual(told, [
      ["microphoneSilent", true],
      ["microphoneSilent", false],
    ]);
  });

  it("ends the call when the server said it is over and then fell silent", async (t) => {
    const { server, told } = await joined();
    t.mock.timers.enable({ apis: ["setTimeout"] });
    server.sendEvent({ type: "call_ended", reason: "agent_hangup" }, "another.topic");
    t.mock.timers.tick(5_000);
    assert.deepEqual(told, []);
    server.sendEvent({ type: "call_ended", reason: "agent_hangup" });
    t.mock.timers.tick(5_000);
    assert.deepEqual(told, [["left", "agent_hangup", undefined]]);
  });

  it("does not tell its own leaving", async () => {
    const { room, server, told } = await joined();
    await Promise.all([room.leave(), room.leave()]);
    assert.deepEqual(told, []);
    assert.equal(server.calls.filter((call) => call === "disconnect").length, 1);
  });

  it("tells a line that is lost and restored, and attaches the agent's new track", async () => {
    const { server, told } = await joined();
    server.emit(RoomEvent.Reconnecting);
    server.emit(RoomEvent.TrackUnsubscribed, { kind: "audio", detach: () => server.calls.push("detach") });
    server.sendAgentAudio();
    server.emit(RoomEvent.Reconnected);
    assert.deepEqual(told, [
      ["connection", "reconnecting"],
      ["connection", "connected"],
    ]);
    assert.deepEqual(server.calls.slice(-4), [
      "detach",
      "unwatch agent",
      "attach",
      "watch agent agent audio",
    ]);
  });

  it("says that sound is blocked only where the browser refuses to play", async () => {
    const blocked = await joined({
      play: async () => {
        throw Object.assign(new Error("gesture"), { name: "NotAllowedError" });
      },
    });
    await settle();
    assert.deepEqual(blocked.told, ["audioBlocked"]);
    const aborted = await joined({
      play: async () => {
        throw Object.assign(new Error("another load"), { name: "AbortError" });
      },
    });
    await settle();
    assert.deepEqual(aborted.told, []);
  });

  it("sends typed text on the chat topic, and mutes the microphone", async () => {
    const { room, server } = await joined();
    await room.sendText("two tickets");
    await room.setMuted(true);
    await room.setMuted(false);
    assert.deepEqual(server.calls.slice(-3), ["text lk.chat two tickets", "mute", "unmute"]);
  });
});
