import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { CallError } from "../src/errors.js";
import { holdCall, keptCall } from "../src/kept-call.js";
import { OneInbox } from "../src/oneinbox.js";
import { recordedCall, TestCall } from "./fake-room.js";

/** As much of a tab as is needed: its storage. */
class FakeStorage {
  readonly items = new Map<string, string>();
  getItem = (name: string) => this.items.get(name) ?? null;
  setItem = (name: string, value: string) => void this.items.set(name, value);
  removeItem = (name: string) => void this.items.delete(name);
}

/** Locks of all tabs. A lock that is held is not given out again. */
class FakeLocks {
  readonly held = new Set<string>();

  async request(name: string, _: unknown, work: () => Promise<void>): Promise<void> {
    if (this.held.has(name)) throw new DOMException("timed out", "TimeoutError");
    this.held.add(name);
    await work();
    this.held.delete(name);
  }
}

let locks: FakeLocks;
const globals = globalThis as unknown as { sessionStorage: FakeStorage | undefined };
const settle = () => new Promise(setImmediate);

beforeEach(() => {
  globals.sessionStorage = new FakeStorage();
  locks = new FakeLocks();
  Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });
});
afterEach(() => {
  globals.sessionStorage = undefined;
  Object.defineProperty(globalThis, "navigator", { value: undefined, configurable: true });
});

async function connected(more: Parameters<typeof recordedCall>[0] = {}) {
  const recorded = recordedCall({ resumable: true, ...more });
  const joining = recorded.call.connect();
  await settle();
  recorded.call.room.letIn();
  await joining;
  return recorded;
}

describe("a call kept for the next page of the tab", () => {
  it("is kept from the first moment, and with every newer token", async () => {
    const { call } = recordedCall({ resumable: true });
    void call.connect().catch(() => undefined);
    await settle();
    assert.deepEqual(keptCall(), { serverUrl: "ws://127.0.0.1:1", token: "a.b.c" });
    call.room.listener.token("newer");
    assert.deepEqual(keptCall(), { serverUrl: "ws://127.0.0.1:1", token: "newer" });
    call.room.letGo();
    await call.disconnect();
  });

  it("is forgotten when it ends, and what comes late is not kept", async () => {
    const { call } = await connected();
    call.room.letGo();
    await call.disconnect();
    call.room.listener.token("late");
    assert.equal(keptCall(), undefined);
    assert.equal(locks.held.size, 0);
  });

  it("is not kept where that was not asked for", async () => {
    const { call } = await connected({ resumable: false });
    call.room.listener.token("newer");
    assert.equal(keptCall(), undefined);
    assert.equal(locks.held.size, 0);
    call.room.letGo();
    await call.disconnect();
  });

  it("belongs to one tab: a second one is refused, and the first goes on", async () => {
    const { call: first } = await connected();
    const { call: second, told } = recordedCall({ resumable: true });
    await assert.rejects(second.connect(), (error: CallError) => error.reason === "open_elsewhere");
    assert.equal(second.rooms.length, 0);
    assert.deepEqual(told, ["connecting", ["error", "open_elsewhere"], "ended", ["ended", "connect_failed"]]);
    assert.equal(first.state, "active");
    first.room.letGo();
    await first.disconnect();
  });

  it("may be held without locks, and without storage", async () => {
    Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
    globals.sessionStorage = undefined;
    const letGo = await holdCall("a.b.c");
    letGo();
    const { call } = await connected();
    assert.equal(keptCall(), undefined);
    call.room.letGo();
    await call.disconnect();
  });

  it("is no call where what is kept is none", () => {
    for (const text of ["", "{", "null", '{"serverUrl": 1, "token": "t"}', '{"serverUrl": "ws://x"}']) {
      globals.sessionStorage?.setItem("oneinbox.call", text);
      assert.equal(keptCall(), undefined, text);
    }
  });
});

describe("OneInbox.resume", () => {
  class TestOneInbox extends OneInbox {
    readonly calls: TestCall[] = [];
    protected override createCall(options: ConstructorParameters<typeof TestCall>[0]): TestCall {
      const call = new TestCall(options);
      this.calls.push(call);
      return call;
    }
  }

  it("does nothing where nothing is kept", async () => {
    const oi = new TestOneInbox();
    assert.equal(await oi.resume(), false);
    assert.equal(oi.state, "idle");
  });

  it("goes on with the call that is kept", async () => {
    globals.sessionStorage?.setItem("oneinbox.call", '{"serverUrl": "ws://x", "token": "t"}');
    const oi = new TestOneInbox();
    const resumed = oi.resume();
    await settle();
    const room = oi.calls[0]?.room;
    assert.deepEqual([room?.joinedWith?.token, room?.joinedWith?.resumable], ["t", true]);
    room?.letIn();
    assert.equal(await resumed, true);
    room?.letGo();
    await oi.stop();
    assert.equal(keptCall(), undefined);
  });
});
