import { describe, expect, it } from "vitest";
import { ago, clock, duration, millis, moment } from "../src/format/time";

describe("clock", () => {
  it.each([
    [-3, "0:00"],
    [7.9, "0:07"],
    [65, "1:05"],
    [3729, "1:02:09"],
  ])("%d s", (seconds, text) => expect(clock(seconds)).toBe(text));
});

describe("duration", () => {
  it.each([
    [null, "–"],
    [Number.NaN, "–"],
    [0, "0 s"],
    [59.6, "1 min"],
    [185, "3 min 5 s"],
    [3600, "1 h 0 min"],
    [3840, "1 h 4 min"],
    [7199, "2 h 0 min"],
  ])("%s s", (seconds, text) => expect(duration(seconds)).toBe(text));
});

describe("millis", () => {
  it.each([
    [undefined, "–"],
    [83.6, "84 ms"],
    [999.4, "999 ms"],
    [999.6, "1.00 s"],
    [1240, "1.24 s"],
  ])("%s ms", (ms, text) => expect(millis(ms)).toBe(text));
});

describe("ago", () => {
  const now = Date.parse("2026-05-10T12:00:00Z");
  it.each([
    ["2026-05-10T11:59:30Z", "just now"],
    ["2026-05-10T11:57:00Z", "3 minutes ago"],
    ["2026-05-10T09:00:00Z", "3 hours ago"],
    ["2026-05-09T11:00:00Z", "yesterday"],
    ["2026-04-02T12:00:00Z", "Apr 2"],
    ["2024-04-02T12:00:00Z", "Apr 2, 2024"],
    ["nonsense", "–"],
  ])("%s", (iso, text) => expect(ago(iso, now, "en-US")).toBe(text));
});

describe("moment", () => {
  it("shows a dash for what is not known", () => {
    expect([moment(null), moment(undefined), moment("nonsense")]).toEqual(["–", "–", "–"]);
  });
});
