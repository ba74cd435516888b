import { describe, expect, it } from "vitest";
import { axis, turnLatencies } from "../src/calls/latency";

describe("turnLatencies", () => {
  it("lays transcription and the wait beside each other, not end to end", () => {
    const [turn] = turnLatencies({
      turns: [{ turn: 1, eou_delay: 300, stt: 200, llm_ttft: 350, tts_ttfb: 100, perceived: 740 }],
    });
    expect(turn?.parts).toEqual([
      { name: "stt", ms: 200 },
      { name: "wait", ms: 100 },
      { name: "llm", ms: 350 },
      { name: "tts", ms: 100 },
    ]);
    expect(turn).toMatchObject({ turn: 1, totalMs: 750, perceivedMs: 740 });
  });

  it("shows what a late transcript cost beyond the decision", () => {
    const [turn] = turnLatencies({
      turns: [{ turn: 2, eou_delay: 120, stt: 500, llm_ttft: null, tts_ttfb: null, perceived: null }],
    });
    expect(turn?.parts).toEqual([
      { name: "wait", ms: 120 },
      { name: "stt", ms: 380 },
    ]);
    expect(turn?.perceivedMs).toBeNull();
  });

  it("does not count a part twice that stands both in the events and in the turns", () => {
    const [turn] = turnLatencies({
      events: [{ type: "llm_ttft", turn: 1, ms: 350 }],
      turns: [{ turn: 1, eou_delay: null, stt: null, llm_ttft: 350, tts_ttfb: null, perceived: null }],
    });
    expect(turn?.totalMs).toBe(350);
  });

  it("adds tools and knowledge from the events, and takes the longest of a retried part", () => {
    const [turn] = turnLatencies({
      events: [
        { type: "tool:book", turn: 1, ms: 80 },
        { type: "kb", turn: 1, ms: 20 },
        { type: "tts_ttfb", turn: 1, ms: 90 },
        { type: "tts_ttfb", turn: 1, ms: 140 },
      ],
    });
    expect(turn?.parts).toEqual([
      { name: "other", ms: 100 },
      { name: "tts", ms: 140 },
    ]);
  });

  it("orders turns, and copes with nothing and with nonsense", () => {
    const events = [
      { type: "llm_ttft", turn: 3, ms: 1 },
      { type: "llm_ttft", turn: 1, ms: 1 },
      { type: "llm_ttft", turn: 2, ms: Number.NaN },
      { type: "llm_ttft", turn: 4, ms: -5 },
    ];
    expect(turnLatencies({ events }).map(({ turn }) => turn)).toEqual([1, 3]);
    expect(turnLatencies(null)).toEqual([]);
    expect(turnLatencies({ events: null, turns: null })).toEqual([]);
  });
});

describe("axis", () => {
  it.each([
    [0, 100],
    [738, 800],
    [853, 1000],
    [1000, 1000],
    [2600, 3000],
  ])("ends at a round number above %d", (value, end) => {
    const { end: found, ticks } = axis(value);
    expect(found).toBe(end);
    expect(ticks[0]).toBe(0);
    expect(ticks.at(-1)).toBe(end);
    expect(ticks.length).toBeLessThanOrEqual(6);
  });
});
