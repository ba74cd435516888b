import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionError, DisconnectReason, RoomEvent } from "livekit-client";
import type { CallError } from "../src/errors.js";
import { settle, setUp } from "./fake-livekit-room.js";

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
