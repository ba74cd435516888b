import { beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../src/api/http";
import { TalkSession } from "../src/talk/talk-session";
import type { TalkEvent } from "../src/talk/talk-state";
import type { CallClient } from "../src/talk/web-sdk";

const { createWebCall, fetchCall, stopCall, openCall, reopenCall, microphoneProblem } = vi.hoisted(() => ({
  createWebCall: vi.fn(),
  fetchCall: vi.fn(),
  stopCall: vi.fn(),
  openCall: vi.fn(),
  reopenCall: vi.fn(),
  microphoneProblem: vi.fn(),
}));
vi.mock("../src/api/calls", () => ({ createWebCall, fetchCall, stopCall }));
vi.mock("../src/talk/web-sdk", () => ({ openCall, reopenCall }));
vi.mock("../src/talk/microphone", () => ({ microphoneProblem }));

const LIVE = { status: "in_progress", ended_at: null, end_reason: null };
const ENDED = { status: "completed", ended_at: "2026-01-02T03:04:05Z", end_reason: "max_duration" };
const AGENT = { id: "agt_1", name: "Desk" };

/** A promise to be settled from outside. */
function later<T>() {
  let settle: (value: T) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  return { promise, settle, fail };
}

function fakeClient(connected: Promise<void> = Promise.resolve()) {
  return {
    connect: vi.fn(() => connected),
    disconnect: vi.fn(async () => undefined),
    mute: vi.fn(async () => undefined),
    unmute: vi.fn(async () => undefined),
    sendText: vi.fn(async () => undefined),
    startAudio: vi.fn(async () => undefined),
    volumeLevels: vi.fn(() => ({ user: 0.5, agent: 0.25 })),
  } satisfies CallClient;
}

let session: TalkSession;
let send: (event: TalkEvent) => void;

function answerWith(client: CallClient) {
  openCall.mockImplementation(async (options: { send: typeof send }) => {
    send = options.send;
    return client;
  });
}

/** The tab's storage: what one page leaves there the next one finds. */
const storage = new Map<string, string>();
vi.stubGlobal("sessionStorage", {
  getItem: (name: string) => storage.get(name) ?? null,
  setItem: (name: string, value: string) => storage.set(name, value),
  removeItem: (name: string) => storage.delete(name),
});

beforeEach(() => {
  vi.resetAllMocks();
  storage.clear();
  microphoneProblem.mockResolvedValue(null);
  createWebCall.mockResolvedValue({ id: "call_1", server_url: "ws://here", participant_token: "t" });
  stopCall.mockResolvedValue({});
  fetchCall.mockResolvedValue(LIVE);
  session = new TalkSession();
});

describe("starting", () => {
  it("asks for a call, joins it and is active", async () => {
    const client = fakeClient();
    answerWith(client);
    await session.start(AGENT);
    expect(createWebCall).toHaveBeenCalledExactlyOnceWith("agt_1");
    expect(openCall).toHaveBeenCalledWith(expect.objectContaining({ serverUrl: "ws://here", token: "t" }));
    expect(session.snapshot()).toMatchObject({ phase: "active", callId: "call_1", agentId: "agt_1" });
    expect(session.levels()).toEqual({ user: 0.5, agent: 0.25 });
  });

  it("makes no call where the microphone is known to be out of reach", async () => {
    microphoneProblem.mockResolvedValue({ reason: "insecure_context", message: "no" });
    await session.start(AGENT);
    expect(createWebCall).not.toHaveBeenCalled();
    expect(session.snapshot()).toMatchObject({ phase: "failed", problem: { reason: "insecure_context" } });
  });

  it("shows what the API refused, by its code", async () => {
    createWebCall.mockRejectedValue(new ApiError(422, "no_llm_configured", "Set a key."));
    await session.start(AGENT);
    expect(session.snapshot()).toMatchObject({
      phase: "failed",
      problem: { reason: "no_llm_configured", message: "Set a key." },
    });
  });

  it("shows what the SDK could not do, by its reason", async () => {
    const denied = Object.assign(new Error("Denied."), { reason: "microphone_denied" });
    answerWith(fakeClient(Promise.reject(denied)));
    await session.start(AGENT);
    expect(session.snapshot()).toMatchObject({ phase: "failed", problem: { reason: "microphone_denied" } });
  });

  it("does nothing while a call runs", async () => {
    answerWith(fakeClient());
    await session.start(AGENT);
    await session.start({ id: "agt_2", name: "Other" });
    expect(createWebCall).toHaveBeenCalledTimes(1);
    expect(session.snapshot().agentId).toBe("agt_1");
  });
});

describe("hanging up", () => {
  it("ends at once, without waiting for the network", async () => {
    const client = fakeClient();
    answerWith(client);
    await session.start(AGENT);
    const hanging = session.hangUp();
    expect(session.snapshot()).toMatchObject({ phase: "ended", endReason: "user_hangup" });
    await hanging;
    expect(client.disconnect).toHaveBeenCalledTimes(1);
    expect(stopCall).not.toHaveBeenCalled();
    expect(session.levels()).toEqual({ user: 0, agent: 0 });
  });

  it("before the call was made: stops it as soon as it is, and never joins it", async () => {
    const call = later<unknown>();
    createWebCall.mockReturnValue(call.promise);
    const starting = session.start(AGENT);
    await vi.waitFor(() => expect(createWebCall).toHaveBeenCalled());
    await session.hangUp();
    call.settle({ id: "call_9", server_url: "ws://here", participant_token: "t" });
    await starting;
    expect(openCall).not.toHaveBeenCalled();
    expect(stopCall).toHaveBeenCalledExactlyOnceWith("call_9");
    expect(session.snapshot().phase).toBe("ended");
  });

  it("while connecting: gives up, and its late failure changes nothing", async () => {
    const connected = later<void>();
    const client = fakeClient(connected.promise);
    answerWith(client);
    const starting = session.start(AGENT);
    await vi.waitFor(() => expect(client.connect).toHaveBeenCalled());
    await session.hangUp();
    connected.fail(new Error("given up"));
    await starting;
    expect(client.disconnect).toHaveBeenCalledTimes(1);
    expect(stopCall).toHaveBeenCalledExactlyOnceWith("call_1");
    expect(session.snapshot()).toMatchObject({ phase: "ended", problem: null });
  });

  it("does not let an older call speak into a newer one", async () => {
    answerWith(fakeClient());
    await session.start(AGENT);
    const old = send;
    await session.hangUp();
    await session.start(AGENT);
    old({ type: "transcript", segmentId: "x", role: "agent", text: "ghost", final: true });
    old({ type: "ended", atMs: 1, reason: "api_stop" });
    expect(session.snapshot()).toMatchObject({ phase: "active", lines: [] });
  });

  it("by the other side lets go of the call", async () => {
    answerWith(fakeClient());
    await session.start(AGENT);
    send({ type: "ended", atMs: 5, reason: "end_call_phrase" });
    expect(session.snapshot()).toMatchObject({ phase: "ended", endReason: "end_call_phrase" });
    expect(session.levels()).toEqual({ user: 0, agent: 0 });
  });
});

describe("in the call", () => {
  it("takes a mute back that did not work", async () => {
    const client = fakeClient();
    client.mute.mockRejectedValue(new Error("no track"));
    answerWith(client);
    await session.start(AGENT);
    await session.setMuted(true);
    expect(session.snapshot()).toMatchObject({ muted: false, problem: { message: "no track" } });
  });

  it("sends typed words, trimmed, and shows them; sends nothing that is blank", async () => {
    const client = fakeClient();
    answerWith(client);
    await session.start(AGENT);
    await session.sendText("  ");
    await session.sendText(" Opening hours ");
    expect(client.sendText.mock.calls).toEqual([["Opening hours"]]);
    expect(session.snapshot().lines).toMatchObject([{ role: "user", text: "Opening hours", typed: true }]);
  });
});

describe("coming back after a reload", () => {
  function reopenWith(client: CallClient | null) {
    reopenCall.mockImplementation(async (tell: typeof send) => {
      send = tell;
      return client;
    });
  }

  async function leaveInCall() {
    answerWith(fakeClient());
    await session.start(AGENT);
    session = new TalkSession(); // another page: nothing is left but the storage
  }

  it("goes on with the call, its clock and its mute", async () => {
    answerWith(fakeClient());
    await session.start(AGENT);
    const { activeAtMs } = session.snapshot();
    await session.setMuted(true);
    reopenCall.mockReturnValue(new Promise(() => undefined));
    void new TalkSession().resume(); // a page that is reloaded again, before it is back
    session = new TalkSession();
    const client = fakeClient();
    reopenWith(client);
    await session.resume();
    expect(client.mute).toHaveBeenCalledBefore(client.connect);
    expect(session.snapshot()).toMatchObject({
      phase: "active",
      agentId: "agt_1",
      agentName: "Desk",
      callId: "call_1",
      muted: true,
      activeAtMs,
    });
    send({ type: "transcript", segmentId: "a", role: "agent", text: "As I said", final: true });
    expect(session.snapshot().lines).toMatchObject([{ text: "As I said" }]);
    expect(createWebCall).toHaveBeenCalledTimes(1);
  });

  it("does nothing where no call was left, nor after one that had ended", async () => {
    await session.resume();
    answerWith(fakeClient());
    await session.start(AGENT);
    await session.hangUp();
    session = new TalkSession();
    await session.resume();
    expect(reopenCall).not.toHaveBeenCalled();
    expect(session.snapshot().phase).toBe("idle");
  });

  it("says how a call ended that was over meanwhile, and does not try it again", async () => {
    await leaveInCall();
    const gone = Object.assign(new Error("Gone."), { reason: "call_not_found" });
    const client = fakeClient();
    client.connect.mockImplementation(async () => {
      send({ type: "notice", problem: gone });
      send({ type: "failed", atMs: 1, reason: null, problem: gone });
      throw gone;
    });
    reopenWith(client);
    fetchCall.mockResolvedValueOnce(LIVE); // it ends just now
    fetchCall.mockResolvedValue(ENDED);
    await session.resume();
    expect(fetchCall).toHaveBeenLastCalledWith("call_1");
    expect(session.snapshot()).toMatchObject({
      phase: "ended",
      endReason: "max_duration",
      endedAtMs: Date.parse("2026-01-02T03:04:05Z"),
      problem: null,
    });
    session = new TalkSession();
    await session.resume();
    expect(reopenCall).toHaveBeenCalledTimes(1);
  });

  it("does not even try where the record says that it is over", async () => {
    await leaveInCall();
    const client = fakeClient();
    reopenWith(client);
    fetchCall.mockResolvedValue(ENDED);
    await session.resume();
    expect(client.connect).not.toHaveBeenCalled();
    expect(session.snapshot()).toMatchObject({ phase: "ended", endReason: "max_duration" });
  });

  it("ends quietly where the SDK kept nothing and the record cannot be asked", async () => {
    await leaveInCall();
    reopenWith(null);
    fetchCall.mockRejectedValue(new ApiError(404, "CALL_NOT_FOUND", "Gone."));
    await session.resume();
    expect(session.snapshot()).toMatchObject({ phase: "ended", endReason: null, problem: null });
  });

  it("shows why it cannot, where the call is still there", async () => {
    await leaveInCall();
    const elsewhere = Object.assign(new Error("Another tab."), { reason: "open_elsewhere" });
    reopenWith(fakeClient(Promise.reject(elsewhere)));
    await session.resume();
    expect(session.snapshot()).toMatchObject({ phase: "failed", problem: { reason: "open_elsewhere" } });
  });

  it("is given up by hanging up, before the SDK is there", async () => {
    await leaveInCall();
    const loaded = later<CallClient>();
    reopenCall.mockReturnValue(loaded.promise);
    const resuming = session.resume();
    await session.hangUp();
    const client = fakeClient();
    loaded.settle(client);
    await resuming;
    expect(client.connect).not.toHaveBeenCalled();
    expect(stopCall).toHaveBeenCalledExactlyOnceWith("call_1");
    expect(session.snapshot()).toMatchObject({ phase: "ended", endReason: "user_hangup" });
  });
});
