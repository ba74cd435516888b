import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Captions } from "../src/captions.js";
import type { TranscriptSegment } from "../src/events.js";

/** A text stream whose pieces and end the test hands out one by one. */
class Stream implements AsyncIterable<string> {
  readonly info: { id: string; attributes: Record<string, string> };
  #wake = (): void => undefined;
  readonly #pieces: string[] = [];
  #end: "open" | "closed" | "broken" = "open";

  constructor(attributes: Record<string, string>, id = "stream-1") {
    this.info = { id, attributes };
  }

  push(piece: string): void {
    this.#pieces.push(piece);
    this.#wake();
  }

  close(trailer: Record<string, string> = {}): void {
    Object.assign(this.info.attributes, trailer);
    this.#end = "closed";
    this.#wake();
  }

  break(): void {
    this.#end = "broken";
    this.#wake();
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) yield piece;
      else if (this.#end === "closed") return;
      else if (this.#end === "broken") throw new Error("gone");
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

function recorder() {
  const told: TranscriptSegment[] = [];
  return { told, captions: new Captions((segment) => told.push(segment)) };
}

const settle = () => new Promise(setImmediate);

describe("captions", () => {
  it("tells an update that is a stream of its own once, partial or final", async () => {
    const { told, captions } = recorder();
    for (const [text, final] of [
      ["What", "false"],
      ["What is", "false"],
      ["What is it?", "true"],
    ] as const) {
      const stream = new Stream({ "lk.segment_id": "seg", "lk.transcription_final": final });
      const reading = captions.read(stream, "user");
      stream.push(text);
      stream.close();
      await reading;
    }
    assert.deepEqual(told, [
      { segmentId: "seg", role: "user", text: "What", final: false },
      { segmentId: "seg", role: "user", text: "What is", final: false },
      { segmentId: "seg", role: "user", text: "What is it?", final: true },
    ]);
  });

  it("grows the text of a stream that stays open, as LiveKit's agents send it", async () => {
    const { told, captions } = recorder();
    const stream = new Stream({ "lk.segment_id": "seg", "lk.transcription_final": "false" });
    const reading = captions.read(stream, "agent");
    stream.push("Good ");
    await settle();
    assert.deepEqual(told.at(-1), { segmentId: "seg", role: "agent", text: "Good ", final: false });
    stream.push("morning");
    stream.close({ "lk.transcription_final": "true" });
    await reading;
    assert.deepEqual(
      told.map(({ text, final }) => [text, final]),
      [
        ["Good ", false],
        ["Good morning", false],
        ["Good morning", true],
      ],
    );
  });

  it("tells a final text in several pieces only when it is whole", async () => {
    const { told, captions } = recorder();
    const stream = new Stream({ "lk.segment_id": "seg", "lk.transcription_final": "true" });
    const reading = captions.read(stream, "agent");
    stream.push("one ");
    stream.push("two");
    stream.close();
    await reading;
    assert.deepEqual(told, [{ segmentId: "seg", role: "agent", text: "one two", final: true }]);
  });

  it("drops an older update that is through later than a newer one, but not of another segment", async () => {
    const { told, captions } = recorder();
    const older = new Stream({ "lk.segment_id": "seg", "lk.transcription_final": "false" });
    const newer = new Stream({ "lk.segment_id": "seg", "lk.transcription_final": "true" });
    const other = new Stream({ "lk.segment_id": "other", "lk.transcription_final": "false" });
    const reading = [older, newer, other].map((stream) => captions.read(stream, "user"));
    newer.push("new");
    newer.close();
    await settle();
    older.push("old");
    older.close();
    other.push("else");
    other.close();
    await Promise.all(reading);
    assert.deepEqual(
      told.map(({ text }) => text),
      ["new", "else"],
    );
  });

  it("does not tell an update that changes nothing", async () => {
    const { told, captions } = recorder();
    for (const [text, final] of [
      ["Hello,", "false"],
      ["Hello,", "false"],
      ["Hello,", "true"],
      ["Hello,", "true"],
    ] as const) {
      const stream = new Stream({ "lk.segment_id": "seg", "lk.transcription_final": final });
      const reading = captions.read(stream, "agent");
      stream.push(text);
      stream.close();
      await reading;
    }
    assert.deepEqual(
      told.map(({ final }) => final),
      [false, true],
    );
  });

  it("lets a later final replace an earlier one: what was heard of an interrupted reply", async () => {
    const { told, captions } = recorder();
    for (const text of ["A long reply.", "A long"]) {
      const stream = new Stream({ "lk.segment_id": "seg", "lk.transcription_final": "true" });
      const reading = captions.read(stream, "agent");
      stream.push(text);
      stream.close();
      await reading;
    }
    assert.equal(told.at(-1)?.text, "A long");
  });

  it("takes the stream's id where no segment is named, and survives a stream that breaks off", async () => {
    const { told, captions } = recorder();
    const stream = new Stream({}, "stream-9");
    const reading = captions.read(stream, "agent");
    stream.push("Hel");
    await settle();
    stream.break();
    await reading;
    assert.deepEqual(told, [{ segmentId: "stream-9", role: "agent", text: "Hel", final: false }]);
  });
});
