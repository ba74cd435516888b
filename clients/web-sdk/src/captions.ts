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
 * and `final` once. Streams are read side by side, so an older update of a segment may be through later than a newer
 * one: it is dropped.
 */
export class Captions {
  readonly #tell: (segment: TranscriptSegment) => void;
  readonly #newest = new Map<string, number>();
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
    let told: string | undefined;
    const tell = (final: boolean): void => {
      if (number < (this.#newest.get(segmentId) ?? 0)) return;
      this.#newest.set(segmentId, number);
      told = text;
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
    if (isFinal(stream)) tell(true);
    else if (told !== text) tell(false);
  }
}

function isFinal(stream: CaptionStream): boolean {
  // read again at the end: the stream's trailer may carry it
  return stream.info.attributes?.["lk.transcription_final"] === "true";
}
