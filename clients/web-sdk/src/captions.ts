import type { TranscriptSegment } from "./events.js";

/** The part of livekit-client's TextStreamReader that is read here. */
export interface CaptionStream extends AsyncIterable<string> {
  readonly info: { readonly id: string; readonly attributes?: Record<string, string> | undefined };
}

/**
 * Turns text streams of topic `lk.transcription` into transcript segments.
 *
 * OneInbox sends each update of a segment as a stream of its own that holds the whole text so far. LiveKit's agents
 * instead keep one stream open for what the agent says and append to it. Both come out the same: the text so far,
 * and `final` once; an update that changes nothing is not told. Streams are read side by side, so an older update of a segment may be through later than a newer
 * one: it is dropped.
 */
export class Captions {
  readonly #tell: (segment: TranscriptSegment) => void;
  readonly #newest = new Map<string, { stream: number; text: string; final: boolean }>();
  #streams = 0;

  constructor(tell: (segment: TranscriptSegment) => void) {
    this.#tell = tell;
  }

  /** Read one stream to its end. Never rejects: a stream that breaks off leaves what was told of it. */
  async read(stream: CaptionStream, role: "user" | "agent"): Promise<void> {
    const { id, attributes = {} } = stream.info;
    const segmentId = attributes["lk.segment_id"] || id;
    const number = ++this.#streams;
    let text = "";
    const tell = (final: boolean): void => {
      const newest = this.#newest.get(segmentId);
      if (newest && number < newest.stream) return;
      this.#newest.set(segmentId, { stream: number, text, final });
      if (newest?.text === text && newest.final === final) return;
      this.#tell({ segmentId, role, text, final });
    };
    const finalFromStart = isFinal(stream);
    try {
      for await (const piece of stream) {
        text += piece;
        if (!finalFromStart) tell(false);
      }
    } catch {
      return; // the sender or the connection went away in mid-stream: no more is known
    }
    tell(isFinal(stream));
  }
}

function isFinal(stream: CaptionStream): boolean {
  // read again at the end: the stream's trailer may carry it
  return stream.info.attributes?.["lk.transcription_final"] === "true";
}
