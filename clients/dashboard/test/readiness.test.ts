import { describe, expect, it } from "vitest";
import { providerLabel, readiness } from "../src/agents/providers";
import { endWords } from "../src/calls/end-reasons";

const at = (stt: string | null, llm: string | null, tts: string | null) =>
  readiness({ providers: { stt, llm, tts } });

describe("readiness", () => {
  it.each([
    [
      "nothing is missing",
      at("openai_compatible", "openai_compatible", "openai_compatible"),
      { kind: "ready" },
    ],
    ["all is the demo", at("demo", "demo", "demo"), { kind: "demo" }],
    [
      "only the voice is the demo",
      at("openai_compatible", "openai_compatible", "demo"),
      { kind: "demo_voice" },
    ],
    ["there is no model", at("openai_compatible", null, "demo"), { kind: "missing", stage: "llm" }],
    ["the model is named before the ears", at(null, null, null), { kind: "missing", stage: "llm" }],
    ["there are no ears", at(null, "openai_compatible", "demo"), { kind: "missing", stage: "stt" }],
    ["there is no voice", at("demo", "demo", null), { kind: "missing", stage: "tts" }],
  ])("%s", (_, found, expected) => expect(found).toEqual(expected));
});

describe("names", () => {
  it("writes providers as people do, also ones that it does not know", () => {
    expect(["openai_compatible", "demo", "some_vendor", null].map(providerLabel)).toEqual([
      "OpenAI-compatible",
      "Demo",
      "Some vendor",
      "not set",
    ]);
  });

  it("knows end reasons in any case, and shows new ones as they are", () => {
    expect(endWords("SILENCE_TIMEOUT").label).toBe("Silence");
    expect(endWords("carrier_busy")).toEqual({ label: "Carrier busy", meaning: "" });
  });
});
