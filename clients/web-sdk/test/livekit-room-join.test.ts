import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionError, DisconnectReason, RoomEvent } from "livekit-client";
import { CallError } from "../src/errors.js";
import { failure, settle, setUp } from "./fake-livekit-room.js";

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
