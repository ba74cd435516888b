import { expect, test } from "vitest";
import type { Quality } from "../src/api/wire";
import { judgement, share } from "../src/calls/line";

const CLEAN: Quality = {
  transport: "udp",
  packets_received: 1000,
  packets_sent: 1000,
  loss: 0,
  late_packets: 0,
  concealed_ms: 0,
  recovered_ms: 0,
  jitter_ms_p50: 1,
  jitter_ms_p95: 3,
  round_trip_ms_p50: 20,
  round_trip_ms_p95: 30,
  agent_loss: null,
  agent_jitter_ms: null,
  ice_ms: 12,
  dtls_ms: 30,
  resumes: 0,
  rejoins: 0,
  path_changes: 0,
  tick_late_ms_p95: 1,
  ticks_skipped: 0,
};

test("a share tells little from nothing", () => {
  expect([null, 0, 0.0004, 0.0123, 0.25].map(share)).toEqual(["–", "0 %", "< 0.1 %", "1.2 %", "25 %"]);
});

test("the worse direction decides", () => {
  expect(judgement(CLEAN)).toBe("Excellent");
  expect(judgement({ ...CLEAN, agent_loss: 0.04 })).toBe("Good");
  expect(judgement({ ...CLEAN, jitter_ms_p95: 55 })).toBe("Good");
  expect(judgement({ ...CLEAN, loss: 0.12 })).toBe("Poor");
  expect(judgement({ ...CLEAN, agent_jitter_ms: 140 })).toBe("Poor");
});
