import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GOODBYE, joinRequest, readSignal } from "../src/signal-wire.js";

// what LiveKit's own Python package (livekit-protocol) makes of these messages
const JOIN =
  "0a630a130a04524d5f31120b70726f62652d616e792d312a470a207475726e3a31302e302e302e313a333437383f7472616e73706f72743d756470" +
  "0a137475726e733a72656c61792e6578616d706c651206757365723a311a0673656372657458ac027801";
const ANSWER = `12e5010a06616e7377657212cd01763d300d0a${"78".repeat(200)}180122090a0130120454525f31`;
const LEAVE = "42021005";

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

describe("the wire of a connection test", () => {
  it("writes a join with an offer as LiveKit's own library does", () => {
    const request = joinRequest(`v=0\r\n${"y".repeat(200)}`);
    assert.equal(request, `EtwBMtkBCgVvZmZlchLNAXY9MA0K${"eXl5".repeat(66)}eXkYAQ`);
    assert.deepEqual(GOODBYE, bytes("4200"));
  });

  it("reads TURN servers, the answer and the goodbye, and passes over the rest", () => {
    assert.deepEqual(readSignal(bytes(JOIN)), {
      iceServers: [
        {
          urls: ["turn:10.0.0.1:3478?transport=udp", "turns:relay.example"],
          username: "user:1",
          credential: "secret",
        },
      ],
    });
    assert.deepEqual(readSignal(bytes(ANSWER)), { answer: `v=0\r\n${"x".repeat(200)}` });
    assert.deepEqual(readSignal(bytes(LEAVE)), { left: true });
    assert.deepEqual(readSignal(new Uint8Array()), {});
  });

  it("throws for what breaks off", () => {
    for (const end of [1, 2, 5, 100]) {
      assert.throws(() => readSignal(bytes(ANSWER).subarray(0, end)), RangeError);
    }
    assert.throws(() => readSignal(bytes("0b")), RangeError);
  });
});
