import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionError, DisconnectReason } from "livekit-client";
import { asCallError, CallError } from "../src/errors.js";
import { fromResponse, readErrorBody } from "../src/http-errors.js";
import { fromJoin, fromMicrophone } from "../src/livekit-errors.js";

const SERVER = "ws://127.0.0.1:8080";

function tokenExpiring(inSeconds: number): string {
  const claims = { exp: Math.floor(Date.now() / 1000) + inSeconds };
  return `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.y`;
}

describe("a refused join", () => {
  const cases: [string, unknown, string, string?][] = [
    [
      "expired, in prose",
      ConnectionError.notAllowed(
        "could not establish signal connection: the token has expired: make a new call",
        401,
      ),
      "token_expired",
    ],
    ["used, in prose", ConnectionError.notAllowed("token already used", 401), "token_used"],
    ["not valid, in prose", ConnectionError.notAllowed("the token is not valid", 401), "token_invalid"],
    [
      "expired, as an error body",
      ConnectionError.notAllowed(
        'could not establish signal connection: {"error":{"code":"TOKEN_EXPIRED","message":"Too late"}}',
        401,
      ),
      "token_expired",
      "TOKEN_EXPIRED",
    ],
    [
      "used, as an error body",
      ConnectionError.notAllowed('{"error":{"code":"TOKEN_USED","message":"Once only"}}', 401),
      "token_used",
      "TOKEN_USED",
    ],
    [
      "another origin",
      ConnectionError.notAllowed('{"error":{"code":"ORIGIN_NOT_ALLOWED","message":"no"}}', 403),
      "origin_not_allowed",
      "ORIGIN_NOT_ALLOWED",
    ],
    ["no such room", ConnectionError.notAllowed("requested room does not exist", 404), "call_not_found"],
    [
      "no such call",
      ConnectionError.notAllowed("there is no such call, or it is over", 401),
      "call_not_found",
    ],
    ["a call that is over", ConnectionError.notAllowed("the call is over", 401), "call_not_found"],
    ["no answer", ConnectionError.serverUnreachable("fetch failed"), "server_unreachable"],
    [
      "a socket that breaks",
      ConnectionError.internal("Encountered unknown websocket error during connection"),
      "server_unreachable",
    ],
    ["no media", ConnectionError.internal("could not establish PC connection, timeout"), "media_failed"],
    [
      "another server",
      ConnectionError.serviceNotFound("v1 RTC path not found", "v0-rtc"),
      "server_unreachable",
    ],
    ["timed out", ConnectionError.timeout("room connection has timed out (signal)"), "server_unreachable"],
    ["sent away", ConnectionError.leaveRequest("leave", DisconnectReason.ROOM_DELETED), "ended"],
    ["a bug of ours or theirs", new TypeError("x is not a function"), "media_failed"],
  ];
  for (const [name, error, reason, code] of cases) {
    it(`${name}: ${reason}`, () => {
      const failure = fromJoin(error, SERVER, tokenExpiring(60));
      assert.equal(failure.reason, reason);
      assert.equal(failure.code, code);
      assert.equal(failure.cause, error);
    });
  }

  it("takes the token's own time where the server said nothing of use", () => {
    const error = ConnectionError.notAllowed("Unauthorized", 401);
    assert.equal(fromJoin(error, SERVER, tokenExpiring(-5)).reason, "token_expired");
    assert.equal(fromJoin(error, SERVER, tokenExpiring(60)).reason, "token_invalid");
    assert.equal(fromJoin(error, SERVER, "nonsense").reason, "token_invalid");
  });

  it("never puts the token into the message", () => {
    const token = tokenExpiring(60);
    const failure = fromJoin(ConnectionError.serverUnreachable("no"), SERVER, token);
    assert.ok(failure.message.includes(SERVER));
    assert.ok(!failure.message.includes(token));
  });
});

describe("a microphone that does not open", () => {
  for (const [name, reason] of [
    ["NotAllowedError", "microphone_denied"],
    ["NotFoundError", "microphone_not_found"],
    ["OverconstrainedError", "microphone_not_found"],
    ["NotReadableError", "microphone_in_use"],
    ["SyntaxError", "unknown"],
  ] as const) {
    it(`${name}: ${reason}`, () => {
      assert.equal(fromMicrophone(new DOMException("x", name)).reason, reason);
    });
  }
});

describe("a refused token request", () => {
  const answer = (status: number, body: unknown, headers = {}) =>
    fromResponse(new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers }));

  it("reads the error body, and names the field at fault", async () => {
    const error = { code: "validation_error", message: "variables is not an object", param: "variables" };
    const failure = await answer(422, { error });
    assert.equal(failure.reason, "invalid_request");
    assert.equal(failure.code, "validation_error");
    assert.equal(failure.status, 422);
    assert.match(failure.message, /variables is not an object \(variables\)/);
  });

  for (const [status, code, reason] of [
    [401, "invalid_key", "invalid_key"],
    [403, "ORIGIN_NOT_ALLOWED", "origin_not_allowed"],
    [403, "publishable_key_required", "invalid_key"],
    [404, "agent_not_found", "agent_not_found"],
    [404, "not_found", "server_unreachable"],
    [404, "", "server_unreachable"],
    [422, "no_llm_configured", "invalid_request"],
    [429, "rate_limited", "rate_limited"],
    [503, "no_capacity", "server_full"],
    [500, "internal_error", "unknown"],
  ] as const) {
    it(`${status} ${code}: ${reason}`, async () => {
      const body = code ? { error: { code, message: "No" } } : "<h1>Not found</h1>";
      assert.equal((await answer(status, body)).reason, reason);
    });
  }

  it("passes on when to try again", async () => {
    const failure = await answer(429, "", { "Retry-After": "7" });
    assert.equal(failure.retryAfterSeconds, 7);
    assert.equal((await answer(429, "")).retryAfterSeconds, undefined);
  });

  it("is not confused by other JSON", () => {
    for (const text of ["", "null", "[]", '"text"', '{"error":"text"}', '{"detail":[]}']) {
      assert.equal(readErrorBody(text), undefined, text);
    }
  });
});

describe("CallError", () => {
  it("says what happened and what mends it", () => {
    const error = new CallError("token_expired", "The token has expired");
    assert.equal(error.name, "CallError");
    assert.ok(error instanceof Error);
    assert.match(error.message, /^The token has expired\. Make a new call/);
  });

  it("is kept as it is, and wraps what is not one", () => {
    const error = new CallError("ended", "Over");
    assert.equal(asCallError(error), error);
    assert.equal(asCallError("text").reason, "unknown");
    assert.match(asCallError(new Error("boom")).message, /boom/);
  });
});
