import type { ReactNode } from "react";
import type { Quality } from "@/api/wire";
import { Card, CardTitle } from "@/components/ui/card";
import { millis } from "@/format/time";
import { judgement, share } from "./line";

/** How good the connection was: what got lost, how even it came, how long it took there and back. */
export function LineCard({ quality, live }: { quality: Quality | null | undefined; live: boolean }) {
  if (!quality) return null;
  const verdict = judgement(quality);
  return (
    <Card className="p-6">
      <div className="flex items-baseline justify-between gap-4">
        <CardTitle>Connection</CardTitle>
        <p className="text-[13px] text-ink-faint">
          {live ? "so far " : ""}
          <span className="font-medium text-ink">{verdict}</span>
          {quality.transport && ` · ${quality.transport.toUpperCase()}`}
        </p>
      </div>
      <dl className="mt-4 grid grid-cols-[minmax(0,1fr)_auto] gap-x-6 gap-y-1.5 text-sm">
        <Row name="Lost on the way in">{share(quality.loss)}</Row>
        <Row name="Lost on the way out">{share(quality.agent_loss)}</Row>
        <Row name="Jitter" note="median and 95 %">
          {pair(quality.jitter_ms_p50, quality.jitter_ms_p95)}
        </Row>
        <Row name="Round trip" note="median and 95 %">
          {pair(quality.round_trip_ms_p50, quality.round_trip_ms_p95)}
        </Row>
        <Row name="Concealed">{millis(quality.concealed_ms)}</Row>
        <Row name="Too late to be heard">{packets(quality.late_packets)}</Row>
        <Row name="Connecting" note="path and keys">
          {pair(quality.ice_ms, quality.dtls_ms)}
        </Row>
        <Row name="Came back" note="resumed and joined again">
          {quality.resumes} / {quality.rejoins}
        </Row>
        <Row name="Our frames late by" note="95 %, at most">
          {millis(quality.tick_late_ms_p95)}
        </Row>
      </dl>
    </Card>
  );
}

function Row({ name, note, children }: { name: string; note?: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-soft">
        {name}
        {note && <span className="text-[13px] text-ink-faint"> ({note})</span>}
      </dt>
      <dd className="text-right tabular-nums">{children}</dd>
    </>
  );
}

function pair(first: number | null, second: number | null): string {
  return first === null && second === null ? "–" : `${millis(first)} / ${millis(second)}`;
}

function packets(count: number): string {
  return `${count} ${count === 1 ? "packet" : "packets"}`;
}
