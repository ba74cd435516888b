import { describe, expect, it } from "vitest";
import { errorFrom } from "../src/api/http";
import { parseOrigins } from "../src/api/keys";
import { embedSnippet } from "../src/keys/snippet-text";
import { isOwnPath } from "../src/session/return-path";
import { loudness } from "../src/talk/loudness";

describe("errorFrom", () => {
  it("reads the server's own error body", () => {
    const error = errorFrom(422, {
      error: { code: "invalid", message: "Too long.", param: "name", request_id: "r1" },
    });
    expect(error).toMatchObject({
      status: 422,
      code: "invalid",
      message: "Too long.",
      param: "name",
      requestId: "r1",
    });
  });

  it.each([
    [undefined, "The server answered 502."],
    ["<html>", "The server answered 502."],
    [{ detail: "Bad gateway" }, "Bad gateway"],
    [{ error: null }, "The server answered 502."],
    [[1, 2], "The server answered 502."],
  ])("says something useful for %j", (body, message) => {
    expect(errorFrom(502, body)).toMatchObject({ code: "http_502", message, param: null });
  });
});

describe("parseOrigins", () => {
  it("takes one a line or comma, without blanks and doubles", () => {
    expect(parseOrigins(" https://a.example \n\nhttps://b.example, https://a.example\r\n")).toEqual([
      "https://a.example",
      "https://b.example",
    ]);
    expect(parseOrigins(" \n ,")).toEqual([]);
  });
});

describe("isOwnPath", () => {
  it.each([
    ["/calls?agent=agt_1", true],
    ["/", true],
    ["//evil.example", false],
    ["/\\evil.example", false],
    ["https://evil.example", false],
    ["javascript:alert(1)", false],
    ["/sign-in?token=x", false],
    ["", false],
  ])("%s", (path, own) => expect(isOwnPath(path)).toBe(own));
});

describe("loudness", () => {
  it("rests in a quiet room, rises with the voice, and never leaves 0-1", () => {
    expect([loudness(0), loudness(0.1), loudness(Number.NaN)]).toEqual([0, 0, 0]);
    expect(loudness(0.4)).toBeLessThan(loudness(0.6));
    expect(loudness(0.4)).toBeGreaterThan(0);
    expect(loudness(1)).toBe(1);
  });
});

describe("embedSnippet", () => {
  it("names the server, the key and the agent", () => {
    const text = embedSnippet("https://voice.example", "oi_pk_live_x", "agt_1");
    expect(text).toContain('src="https://voice.example/sdk/web-sdk.global.js"');
    expect(text).toContain('"oi_pk_live_x"');
    expect(text).toContain('start("agt_1")');
  });
});
