import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { defaultBaseUrl } from "../src/base-url.js";
import type { OneinboxCallOptions } from "../src/call.js";
import { CallError } from "../src/errors.js";
import { OneInbox } from "../src/oneinbox.js";
import { TestCall } from "./fake-room.js";

const GRANTED = { id: "call_1", server_url: "ws://media", participant_token: "a.b.c" };

class TestOneInbox extends OneInbox {
  readonly calls: TestCall[] = [];
  readonly options: OneinboxCallOptions[] = [];

  protected override createCall(options: OneinboxCallOptions): TestCall {
    const call = new TestCall(options);
    this.calls.push(call);
    made.push(call);
    this.options.push(options);
    return call;
  }
}

const made: TestCall[] = [];
const realFetch = globalThis.fetch;
afterEach(() => {
  // a call that runs on measures volume, and keeps the process alive
  for (const call of made.splice(0)) void call.disconnect();
  globalThis.fetch = realFetch;
});

/** The server's side of the token route. */
function answering(status: number, body: unknown): { requests: { url: string; init: RequestInit }[] } {
  const requests: { url: string; init: RequestInit }[] = [];
  globalThis.fetch = async (url, init = {}) => {
    requests.push({ url: String(url), init });
    return new Response(JSON.stringify(body), { status });
  };
  return { requests };
}

function setUp(key?: string) {
  const oi = new TestOneInbox(key ?? "oi_pk_test", { baseUrl: "http://server/" });
  const told: unknown[] = [];
  oi.on("state", (state) => told.push(state));
  oi.on("transcript", ({ text }) => told.push(["transcript", text]));
  oi.on("error", (error) => told.push(["error", error.reason]));
  oi.on("ended", ({ reason }) => told.push(["ended", reason]));
  return { oi, told };
}

const settle = () => new Promise(setImmediate);

async function connected(oi: TestOneInbox, starting: Promise<void>): Promise<void> {
  await settle();
  oi.calls.at(-1)?.room.letIn();
  await starting;
}

function reason(expected: string) {
  return (error: unknown) => error instanceof CallError && error.reason === expected;
}

describe("keys", () => {
  it("refuses a secret key loudly, at once", () => {
    assert.throws(
      () => new OneInbox("oi_sk_live_1"),
      (error: CallError) => {
        return (
          error.reason === "invalid_key" &&
          /SECRET/.test(error.message) &&
          !error.message.includes("oi_sk_live_1")
        );
      },
    );
  });

  it("refuses what is no key", () => {
    assert.throws(() => new OneInbox("agt_1"), reason("invalid_key"));
    assert.doesNotThrow(() => new OneInbox());
  });

  it("needs a key for an agent's id", async () => {
    const oi = new TestOneInbox(undefined, { baseUrl: "http://server" });
    await assert.rejects(oi.start("agt_1"), reason("invalid_key"));
  });
});

describe("start", () => {
  it("makes the call with the key, then joins it", async () => {
    const { requests } = answering(201, GRANTED);
    const { oi, told } = setUp();
    const options = {
      variables: { name: "Ada" },
      metadata: { source: "home" },
      microphone: { deviceId: "m" },
    };
    const starting = oi.start("agt_1", options);
    assert.equal(oi.state, "connecting");
    await connected(oi, starting);
    assert.equal(oi.state, "active");
    assert.equal(oi.callId, "call_1");
    assert.deepEqual(told, ["connecting", "active"]);
    assert.equal(requests[0]?.url, "http://server/v1/web-calls/token");
    assert.deepEqual(JSON.parse(String(requests[0]?.init.body)), {
      agent_id: "agt_1",
      variables: { name: "Ada" },
      metadata: { source: "home" },
    });
    assert.equal(new Headers(requests[0]?.init.headers).get("Authorization"), "Bearer oi_pk_test");
    assert.equal(oi.options[0]?.serverUrl, "ws://media");
    assert.equal(oi.options[0]?.token, "a.b.c");
    assert.deepEqual(oi.options[0]?.microphone, { deviceId: "m" });
  });

  it("joins a call that a backend made, without asking the server", async () => {
    const { requests } = answering(500, {});
    const { oi, told } = setUp();
    await connected(oi, oi.start({ serverUrl: "ws://elsewhere", token: "t" }));
    assert.equal(requests.length, 0);
    assert.equal(oi.options[0]?.serverUrl, "ws://elsewhere");
    assert.deepEqual(told, ["connecting", "active"]);
  });

  it("tells a refusal once, ends, and can start again", async () => {
    answering(403, { error: { code: "ORIGIN_NOT_ALLOWED", message: "Not from here" } });
    const { oi, told } = setUp();
    await assert.rejects(oi.start("agt_1"), reason("origin_not_allowed"));
    assert.deepEqual(told, [
      "connecting",
      ["error", "origin_not_allowed"],
      "ended",
      ["ended", "connect_failed"],
    ]);
    answering(201, GRANTED);
    await connected(oi, oi.start("agt_1"));
    assert.equal(oi.state, "active");
  });

  it("tells a call that does not connect once", async () => {
    answering(201, GRANTED);
    const { oi, told } = setUp();
    const starting = assert.rejects(oi.start("agt_1"), reason("microphone_denied"));
    await settle();
    oi.calls[0]?.room.refuse(new CallError("microphone_denied", "No"));
    await starting;
    assert.deepEqual(told, [
      "connecting",
      ["error", "microphone_denied"],
      "ended",
      ["ended", "connect_failed"],
    ]);
  });

  it("names a server that does not answer, and one that is something else", async () => {
    const { oi } = setUp();
    globalThis.fetch = async () => {
      throw new TypeError("fetch failed");
    };
    await assert.rejects(oi.start("agt_1"), reason("server_unreachable"));
    answering(200, { hello: "world" });
    await assert.rejects(oi.start("agt_1"), reason("server_unreachable"));
  });

  it("carries one call at a time", async () => {
    answering(201, GRANTED);
    const { oi, told } = setUp();
    const starting = oi.start("agt_1");
    await assert.rejects(oi.start("agt_1"), reason("already_started"));
    await connected(oi, starting);
    await assert.rejects(oi.start("agt_1"), reason("already_started"));
    assert.deepEqual(told, ["connecting", "active"]);
    assert.equal(oi.calls.length, 1);
  });
});

describe("stop", () => {
  it("ends the running call", async () => {
    answering(201, GRANTED);
    const { oi, told } = setUp();
    await connected(oi, oi.start("agt_1"));
    oi.calls[0]?.room.letGo();
    await oi.hangUp();
    await oi.stop();
    assert.deepEqual(told, ["connecting", "active", "ended", ["ended", "user_hangup"]]);
  });

  it("is safe before the first call, and while the call is being made", async () => {
    const { oi, told } = setUp();
    await oi.stop();
    globalThis.fetch = (_url, init) =>
      new Promise((_, reject) => init?.signal?.addEventListener("abort", () => reject(new Error("aborted"))));
    const starting = assert.rejects(oi.start("agt_1"), reason("ended"));
    await oi.stop();
    await starting;
    assert.deepEqual(told, ["connecting", "ended", ["ended", "user_hangup"]]);
    assert.equal(oi.calls.length, 0);
  });

  it("leaves a call alone that was started after it", async () => {
    const { oi } = setUp();
    globalThis.fetch = (_url, init) =>
      new Promise((_, reject) => init?.signal?.addEventListener("abort", () => reject(new Error("aborted"))));
    const first = assert.rejects(oi.start("agt_1"), reason("ended"));
    await oi.stop();
    answering(201, GRANTED);
    const second = oi.start("agt_1");
    await first;
    await connected(oi, second);
    assert.equal(oi.state, "active");
  });
});

describe("listening", () => {
  it("ends when told so, and one listener's error does not reach another", async () => {
    answering(201, GRANTED);
    const { oi } = setUp();
    const heard: string[] = [];
    const stop = oi.on("transcript", ({ text }) => heard.push(`a ${text}`));
    oi.on("transcript", ({ text }) => heard.push(`b ${text}`));
    await connected(oi, oi.start("agt_1"));
    const say = (text: string) =>
      oi.calls[0]?.room.listener.transcript({ segmentId: "s", role: "user", text, final: true });
    say("one");
    stop();
    stop();
    say("two");
    assert.deepEqual(heard, ["a one", "b one", "b two"]);
  });

  it("keeps mute from one call to the next", async () => {
    answering(201, GRANTED);
    const { oi } = setUp();
    await oi.mute();
    assert.equal(oi.isMuted, true);
    await connected(oi, oi.start("agt_1"));
    assert.equal(oi.calls[0]?.room.joinedWith?.muted, true);
    await oi.unmute();
    assert.deepEqual(oi.calls[0]?.room.muted, [false]);
  });

  it("needs a call for what only a call can do", async () => {
    const { oi } = setUp();
    await assert.rejects(oi.sendText("hello"), reason("not_connected"));
    assert.deepEqual(oi.volumeLevels(), { user: 0, agent: 0 });
  });
});

describe("the server's address, where none is given", () => {
  const page = "https://shop.example";
  for (const [script, expected] of [
    ["https://voice.example/sdk/web-sdk.js", "https://voice.example"],
    ["http://127.0.0.1:8080/sdk/web-sdk.global.js?v=1", "http://127.0.0.1:8080"],
    ["https://example/voice/sdk/web-sdk.js", "https://example/voice"],
    ["https://shop.example/assets/index-abc.js", page],
    ["file:///srv/app/web-sdk.js", page],
    [undefined, page],
  ] as const) {
    it(`${script} on ${page}: ${expected}`, () => {
      assert.equal(defaultBaseUrl(script, page), expected);
    });
  }

  it("is unknown on a page without an origin", () => {
    assert.equal(defaultBaseUrl(undefined, "null"), undefined);
  });
});
