import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectReason, RoomEvent } from "livekit-client";
import type { CallError } from "../src/errors.js";
import { joined, settle, setUp } from "./fake-livekit-room.js";

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
