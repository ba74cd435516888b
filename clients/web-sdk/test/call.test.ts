import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OneinboxCall } from "../src/call.js";
import { CallError } from "../src/errors.js";
import { recordedCall } from "./fake-room.js";

const SEGMENT = { segmentId: "s1", role: "agent", text: "Hello", final: true } as const;

function reason(expected: string) {
  return (error: unknown) => error instanceof CallError && error.reason === expected;
}

describe("connecting", () => {
  it("announces active before connect() resolves, and only then", async () => {
    const { call, told } = recordedCall();
    const connecting = call.connect().then(() => told.push("resolved"));
    assert.deepEqual(told, ["connecting"]);
    assert.equal(call.state, "connecting");
    call.room.letIn();
    await connecting;
    assert.deepEqual(told, ["connecting", "active", "resolved"]);
    assert.equal(call.state, "active");
    assert.equal(call.endReason, undefined);
  });

  it("hands the room what it was given", async () => {
    const audioElement = {} as HTMLAudioElement;
    const { call } = recordedCall({ microphone: { deviceId: "mic" }, audioElement });
    void call.connect();
    assert.deepEqual(call.room.joinedWith, {
      serverUrl: "ws://127.0.0.1:1",
      token: "a.b.c",
      microphone: { deviceId: "mic" },
      muted: false,
      audioElement,
      resumable: false,
      methods: {},
    });
  });

  it("tells the error, then the end, then rejects", async () => {
    const { call, told } = recordedCall();
    const connecting = call.connect().catch((error: CallError) => told.push(["rejected", error.reason]));
    call.room.refuse(new CallError("token_expired", "Too late"));
    await connecting;
    assert.deepEqual(told, [
      "connecting",
      ["error", "token_expired"],
      "ended",
      ["ended", "connect_failed"],
      ["rejected", "token_expired"],
    ]);
    assert.equal(call.room.left, 1);
    assert.equal(call.endReason, "connect_failed");
  });

  it("gives the server's reason where the server ended the call meanwhile, and calls that no error", async () => {
    const { call, told } = recordedCall();
    const connecting = assert.rejects(call.connect(), reason("ended"));
    call.room.refuse(new CallError("ended", "Stopped", { endReason: "api_stop" }));
    await connecting;
    assert.deepEqual(told, ["connecting", "ended", ["ended", "api_stop"]]);
  });

  it("wraps what is not a CallError", async () => {
    const { call } = recordedCall();
    const connecting = assert.rejects(call.connect(), reason("unknown"));
    call.room.refuse(new TypeError("odd") as unknown as CallError);
    await connecting;
  });

  it("refuses a second connect(), and leaves the first alone", async () => {
    const { call, told } = recordedCall();
    const first = call.connect();
    await assert.rejects(call.connect(), reason("already_started"));
    call.room.letIn();
    await first;
    await assert.rejects(call.connect(), reason("already_started"));
    assert.deepEqual(told, ["connecting", "active"]);
    assert.equal(call.rooms.length, 1);
  });

  it("says at once what is wrong with its options", () => {
    const make = (options: object) => () => new OneinboxCall(options as never);
    assert.throws(make({ serverUrl: "ws://a" }), reason("token_invalid"));
    assert.throws(make({ serverUrl: undefined, token: "t" }), reason("token_invalid"));
    assert.throws(make({ serverUrl: "voice.example.com", token: "t" }), /voice\.example\.com/);
    assert.doesNotThrow(make({ serverUrl: "wss://voice.example.com/media", token: "t" }));
  });
});

describe("ending", () => {
  it("announces the end at once and waits until the room has let go", async () => {
    const { call, told } = recordedCall();
    const connecting = call.connect();
    call.room.letIn();
    await connecting;
    const gone = call.disconnect().then(() => told.push("gone"));
    assert.deepEqual(told, ["connecting", "active", "ended", ["ended", "user_hangup"]]);
    await new Promise(setImmediate);
    assert.notEqual(told.at(-1), "gone");
    call.room.letGo();
    await gone;
    assert.equal(told.at(-1), "gone");
    assert.equal(call.endReason, "user_hangup");
  });

  it("ends once, whoever ends it again", async () => {
    const { call, told } = recordedCall();
    const connecting = call.connect();
    call.room.letIn();
    await connecting;
    call.room.letGo();
    call.room.listener.left({ reason: "agent_hangup" });
    call.room.listener.left({ reason: "user_disconnected" });
    await call.disconnect();
    await call.disconnect();
    assert.deepEqual(told, ["connecting", "active", "ended", ["ended", "agent_hangup"]]);
    assert.equal(call.room.left, 1);
  });

  it("tells a lost line as an error before the end", async () => {
    const { call, told } = recordedCall();
    const connecting = call.connect();
    call.room.letIn();
    await connecting;
    const error = new CallError("server_unreachable", "Lost");
    call.room.listener.left({ reason: "user_disconnected", error });
    assert.deepEqual(told.slice(2), [
      ["error", "server_unreachable"],
      "ended",
      ["ended", "user_disconnected"],
    ]);
  });

  it("is safe before connecting: the call can then no longer be connected", async () => {
    const { call, told } = recordedCall();
    await call.disconnect();
    await assert.rejects(call.connect(), reason("ended"));
    assert.deepEqual(told, ["ended", ["ended", "user_hangup"]]);
    assert.equal(call.rooms.length, 0);
  });

  it("is safe while connecting, also when the room never answers", async () => {
    const { call, told } = recordedCall();
    const connecting = assert.rejects(call.connect(), reason("ended"));
    call.room.letGo();
    await call.disconnect();
    await connecting;
    call.room.letIn();
    await new Promise(setImmediate);
    assert.deepEqual(told, ["connecting", "ended", ["ended", "user_hangup"]]);
    assert.equal(call.state, "ended");
    assert.equal(call.room.left, 1);
  });

  it("is safe from inside every handler", async () => {
    for (const at of ["connecting", "active"] as const) {
      const told: unknown[] = [];
      const { call } = recordedCall({
        onStateChange: (state) => {
          told.push(state);
          if (state === at) void call.disconnect();
        },
        onEnded: (info) => {
          told.push(info.reason);
          void call.disconnect();
        },
      });
      const connecting = assert.rejects(call.connect(), reason("ended"));
      call.rooms[0]?.letIn();
      await connecting;
      assert.deepEqual(told.slice(-2), ["ended", "user_hangup"]);
      assert.equal(told.filter((state) => state === "ended").length, 1);
    }
  });

  it("keeps the first reason when an error handler hangs up", async () => {
    const told: unknown[] = [];
    const { call } = recordedCall({
      onStateChange: (state) => told.push(state),
      onError: () => void call.disconnect(),
      onEnded: (info) => told.push(info.reason),
    });
    const connecting = call.connect();
    call.room.letIn();
    await connecting;
    const error = new CallError("server_unreachable", "Lost");
    call.room.listener.left({ reason: "user_disconnected", error });
    assert.deepEqual(told, ["connecting", "active", "ended", "user_disconnected"]);
  });

  it("tells nothing after the end", async () => {
    const { call, told } = recordedCall();
    const connecting = call.connect();
    call.room.letIn();
    await connecting;
    await Promise.all([call.disconnect(), call.room.letGo()]);
    const before = [...told];
    const { listener } = call.room;
    listener.transcript(SEGMENT);
    listener.agentState("speaking");
    listener.suggestions(["Yes"]);
    listener.connection("reconnecting");
    listener.audioBlocked();
    listener.error(new CallError("unknown", "?"));
    assert.deepEqual(told, before);
    await assert.rejects(call.sendText("hello"), reason("ended"));
    await assert.rejects(call.mute(), reason("ended"));
  });
});

describe("during the call", () => {
  it("passes on what the room tells, also while connecting", async () => {
    const { call, told } = recordedCall();
    const connecting = call.connect();
    call.room.listener.agentState("speaking");
    call.room.letIn();
    await connecting;
    call.room.listener.transcript(SEGMENT);
    call.room.listener.suggestions(["Yes", "No"]);
    call.room.listener.connection("reconnecting");
    assert.deepEqual(told, [
      "connecting",
      ["agentState", "speaking"],
      "active",
      ["transcript", "Hello"],
      ["suggestions", ["Yes", "No"]],
      ["connection", "reconnecting"],
    ]);
  });

  it("tells of a silent microphone, as a state and as an error, and of the one that is heard after all", async () => {
    const silences: boolean[] = [];
    const { call, told } = recordedCall({ onMicrophoneSilent: (silent) => silences.push(silent) });
    const connecting = call.connect();
    call.room.letIn();
    await connecting;
    assert.equal(call.isMicrophoneSilent, false);
    call.room.listener.microphoneSilent(true);
    assert.equal(call.isMicrophoneSilent, true);
    call.room.listener.microphoneSilent(false);
    assert.equal(call.isMicrophoneSilent, false);
    assert.deepEqual(silences, [true, false]);
    assert.deepEqual(told, ["connecting", "active", ["error", "microphone_silent"]]);
    await Promise.all([call.disconnect(), call.room.letGo()]);
    call.room.listener.microphoneSilent(true);
    assert.deepEqual(silences, [true, false]);
  });

  it("mutes before, during, and remembers", async () => {
    const { call } = recordedCall();
    await call.mute();
    assert.equal(call.isMuted, true);
    const connecting = call.connect();
    assert.equal(call.room.joinedWith?.muted, true);
    call.room.letIn();
    await connecting;
    await call.unmute();
    assert.equal(call.isMuted, false);
    assert.deepEqual(call.room.muted, [false]);
  });

  it("sends text when connected, and no blank text", async () => {
    const { call } = recordedCall();
    await assert.rejects(call.sendText("early"), reason("not_connected"));
    const connecting = call.connect();
    await assert.rejects(call.sendText("early"), reason("not_connected"));
    call.room.letIn();
    await connecting;
    await call.sendText("two tickets");
    await call.sendText("  ");
    assert.deepEqual(call.room.texts, ["two tickets"]);
  });

  it("tells the agent things by methods, and presses keys", async () => {
    const { call } = recordedCall();
    await assert.rejects(call.say("early"), reason("not_connected"));
    const connecting = call.connect();
    call.room.letIn();
    await connecting;
    await call.sendMessage("hello");
    await call.sendContextualUpdate("cart: 2 items");
    await call.sendContextualUpdate(" ");
    await call.say("Welcome back");
    await call.sendDigits("12#");
    await assert.rejects(call.sendDigits("1 2"), reason("invalid_request"));
    assert.deepEqual(call.room.texts, ["hello", "keys 12#"]);
    assert.deepEqual(call.room.methods, [
      ["oi.context", "cart: 2 items"],
      ["oi.say", "Welcome back"],
    ]);
  });

  it("measures volume only while active", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const volumes: unknown[] = [];
    const { call } = recordedCall({ onVolume: (levels) => volumes.push(levels) });
    const connecting = call.connect();
    assert.deepEqual(call.volumeLevels(), { user: 0, agent: 0 });
    t.mock.timers.tick(500);
    assert.equal(volumes.length, 0);
    call.room.letIn();
    await connecting;
    t.mock.timers.tick(100);
    assert.deepEqual(volumes, [
      { user: 0.25, agent: 0.75 },
      { user: 0.25, agent: 0.75 },
    ]);
    call.room.listener.left({ reason: "agent_hangup" });
    t.mock.timers.tick(500);
    assert.equal(volumes.length, 2);
    assert.deepEqual(call.volumeLevels(), { user: 0, agent: 0 });
  });

  it("survives a handler that throws, and lets the page see the error", async () => {
    const seen: unknown[] = [];
    const others = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => seen.push(error.message));
    try {
      const { call, told } = recordedCall({
        onTranscript: () => {
          throw new Error("page bug");
        },
      });
      const connecting = call.connect();
      call.room.letIn();
      await connecting;
      call.room.listener.transcript(SEGMENT);
      call.room.listener.agentState("thinking");
      await new Promise(setImmediate);
      assert.deepEqual(told, ["connecting", "active", ["agentState", "thinking"]]);
      assert.deepEqual(seen, ["page bug"]);
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const other of others) process.on("uncaughtException", other);
    }
  });
});
