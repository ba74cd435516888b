import { describe, expect, it } from "vitest";
import { IDLE, isRunning, reduce, type TalkEvent, type TalkState } from "../src/talk/talk-state";

const START: TalkEvent = { type: "start", agentId: "agt_1", agentName: "Desk" };

function play(...events: TalkEvent[]): TalkState {
  return events.reduce(reduce, IDLE);
}

function active(...events: TalkEvent[]): TalkState {
  return play(START, { type: "created", callId: "call_1" }, { type: "active", atMs: 1000 }, ...events);
}

function said(segmentId: string, role: "agent" | "user", text: string, final = true): TalkEvent {
  return { type: "transcript", segmentId, role, text, final };
}

const texts = (state: TalkState) => state.lines.map((line) => `${line.role}: ${line.text}`);

describe("a silent microphone", () => {
  const problem = { reason: "microphone_silent", message: "Nothing comes." };

  it("is a notice until it is heard", () => {
    const silent = active({ type: "microphoneSilent", silent: true }, { type: "notice", problem });
    expect(silent).toMatchObject({ phase: "active", problem });
    expect(reduce(silent, { type: "microphoneSilent", silent: false }).problem).toBeNull();
  });

  it("takes no other notice away", () => {
    const other = { reason: "method_failed", message: "?" };
    const state = active({ type: "notice", problem: other }, { type: "microphoneSilent", silent: false });
    expect(state.problem).toEqual(other);
  });
});

describe("phases", () => {
  it("goes from idle through preparing and connecting to active and ended", () => {
    const phases = [START, { type: "created", callId: "call_1" }, { type: "active", atMs: 5 }] as TalkEvent[];
    let state = IDLE;
    const seen = phases.map((event) => {
      state = reduce(state, event);
      return state.phase;
    });
    expect(seen).toEqual(["preparing", "connecting", "active"]);
    state = reduce(state, { type: "ended", atMs: 9, reason: "silence_timeout" });
    expect(state).toMatchObject({
      phase: "ended",
      endReason: "silence_timeout",
      endedAtMs: 9,
      callId: "call_1",
    });
  });

  it("does not start a second call beside a running one", () => {
    const running = active();
    expect(reduce(running, { type: "start", agentId: "agt_2", agentName: "Other" })).toBe(running);
  });

  it("starts afresh after an end, without the old call's words", () => {
    const again = reduce(
      active(said("a", "agent", "Hello"), { type: "ended", atMs: 2, reason: null }),
      START,
    );
    expect(again).toMatchObject({ phase: "preparing", lines: [], callId: null, endReason: null });
  });

  it("keeps the moment at which it first became active", () => {
    expect(active({ type: "active", atMs: 7777 }).activeAtMs).toBe(1000);
  });

  it("ignores what comes after the end", () => {
    const ended = active({ type: "ended", atMs: 2, reason: "user_hangup" });
    for (const late of [
      said("x", "agent", "late"),
      { type: "active", atMs: 3 },
      { type: "failed", atMs: 3, reason: null, problem: { reason: "unknown", message: "late" } },
      { type: "typed", id: "9", text: "late" },
    ] as TalkEvent[]) {
      expect(reduce(ended, late)).toBe(ended);
    }
  });

  it("keeps the problem of a call that failed before it stood", () => {
    const problem = { reason: "no_llm_configured", message: "Set a key." };
    const failed = play(START, { type: "failed", atMs: 1, reason: null, problem });
    expect(failed).toMatchObject({ phase: "failed", problem, callId: null });
    expect(isRunning(failed)).toBe(false);
  });

  it("is cleared by a reset, but never while it runs", () => {
    expect(reduce(active(), { type: "reset" }).phase).toBe("active");
    expect(reduce(active({ type: "ended", atMs: 2, reason: null }), { type: "reset" })).toEqual(IDLE);
  });
});

describe("transcript", () => {
  it("replaces a segment's text as it grows, and keeps its place", () => {
    const state = active(
      said("a", "agent", "Hel", false),
      said("u", "user", "wait", false),
      said("a", "agent", "Hello there", true),
    );
    expect(texts(state)).toEqual(["agent: Hello there", "user: wait"]);
    expect(state.lines.map((line) => line.final)).toEqual([true, false]);
  });

  it("cuts the agent's text to what was heard when it was interrupted", () => {
    const state = active(
      said("a", "agent", "I have Tuesday or Thursday", false),
      said("a", "agent", "I have Tue", true),
    );
    expect(texts(state)).toEqual(["agent: I have Tue"]);
  });

  it("does not let a late partial undo a final text", () => {
    const state = active(said("a", "user", "book a table", true), said("a", "user", "book a", false));
    expect(state.lines).toMatchObject([{ text: "book a table", final: true }]);
  });

  it("drops a segment that turns out to be nothing", () => {
    expect(active(said("a", "user", "uh", false), said("a", "user", " ", true)).lines).toEqual([]);
    expect(active(said("a", "user", "", false)).lines).toEqual([]);
  });

  it("leaves no half-heard words hanging after the end", () => {
    const state = active(said("a", "user", "good", false), { type: "ended", atMs: 2, reason: null });
    expect(state.lines).toMatchObject([{ text: "good", final: true }]);
  });
});

describe("typed text", () => {
  const typed: TalkEvent = { type: "typed", id: "1", text: "Opening hours" };

  it("stands at once, as the caller's", () => {
    expect(active(typed).lines).toMatchObject([
      { role: "user", text: "Opening hours", final: true, typed: true },
    ]);
  });

  it("is not doubled by the server's echo, however that is punctuated", () => {
    const state = active(typed, said("u1", "user", "opening hours."));
    expect(state.lines).toMatchObject([{ id: "u1", text: "opening hours.", typed: true }]);
  });

  it("is matched to one echo only: saying it again is a line of its own", () => {
    const state = active(typed, said("u1", "user", "Opening hours"), said("u2", "user", "Opening hours"));
    expect(texts(state)).toEqual(["user: Opening hours", "user: Opening hours"]);
    expect(state.lines.map((line) => line.typed)).toEqual([true, false]);
  });

  it("does not swallow other speech", () => {
    expect(texts(active(typed, said("u1", "user", "a person")))).toEqual([
      "user: Opening hours",
      "user: a person",
    ]);
  });
});
