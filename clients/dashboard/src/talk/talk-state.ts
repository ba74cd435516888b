/**
 * What the Talk panel shows, as a pure reducer: events of the call in, state out.
 *
 *     idle -> preparing -> connecting -> active -> ended
 *                  \____________\___________\---> failed      (then `start` again, from anywhere but a running call)
 */

export type TalkPhase = "idle" | "preparing" | "connecting" | "active" | "ended" | "failed";
export type Speaker = "agent" | "user";

export interface Line {
  id: string;
  role: Speaker;
  text: string;
  final: boolean;
  typed: boolean;
}

export interface Problem {
  /** A stable word: a `CallError.reason` of the SDK, or an error code of the REST API. */
  reason: string;
  message: string;
}

export interface TalkState {
  phase: TalkPhase;
  agentId: string | null;
  agentName: string;
  callId: string | null;
  lines: readonly Line[];
  suggestions: readonly string[];
  agentState: string | null;
  muted: boolean;
  /** The line is lost and being restored; the call goes on. */
  reconnecting: boolean;
  audioBlocked: boolean;
  activeAtMs: number | null;
  endedAtMs: number | null;
  endReason: string | null;
  problem: Problem | null;
}

export type TalkEvent =
  | { type: "start"; agentId: string; agentName: string }
  | { type: "created"; callId: string }
  | { type: "found"; callId: string; activeAtMs: number | null; muted: boolean }
  | { type: "active"; atMs: number }
  | { type: "transcript"; segmentId: string; role: Speaker; text: string; final: boolean }
  | { type: "typed"; id: string; text: string }
  | { type: "suggestions"; phrases: readonly string[] }
  | { type: "agentState"; state: string }
  | { type: "muted"; muted: boolean }
  | { type: "reconnecting"; reconnecting: boolean }
  | { type: "audioBlocked"; blocked: boolean }
  | { type: "microphoneSilent"; silent: boolean }
  | { type: "notice"; problem: Problem }
  | { type: "ended"; atMs: number; reason: string | null }
  | { type: "failed"; atMs: number; reason: string | null; problem: Problem }
  | { type: "reset" };

export const IDLE: TalkState = {
  phase: "idle",
  agentId: null,
  agentName: "",
  callId: null,
  lines: [],
  suggestions: [],
  agentState: null,
  muted: false,
  reconnecting: false,
  audioBlocked: false,
  activeAtMs: null,
  endedAtMs: null,
  endReason: null,
  problem: null,
};

/** Whether a call is being set up or spoken. */
export function isRunning(state: TalkState): boolean {
  return state.phase === "preparing" || state.phase === "connecting" || state.phase === "active";
}

/** The next state. An event that does not fit the phase (a straggler after the end) changes nothing. */
export function reduce(state: TalkState, event: TalkEvent): TalkState {
  switch (event.type) {
    case "start":
      if (isRunning(state)) return state;
      return { ...IDLE, phase: "preparing", agentId: event.agentId, agentName: event.agentName };
    case "reset":
      return isRunning(state) ? state : IDLE;
    default:
      return isRunning(state) ? reduceRunning(state, event) : state;
  }
}

function reduceRunning(state: TalkState, event: Exclude<TalkEvent, { type: "start" | "reset" }>): TalkState {
  switch (event.type) {
    case "created":
      return { ...state, phase: "connecting", callId: event.callId };
    case "found": // by a page that was loaded anew, as the one before left it
      return {
        ...state,
        phase: "connecting",
        callId: event.callId,
        activeAtMs: event.activeAtMs,
        muted: event.muted,
      };
    case "active":
      return { ...state, phase: "active", activeAtMs: state.activeAtMs ?? event.atMs };
    case "transcript":
      return { ...state, lines: withTranscript(state.lines, event) };
    case "typed":
      return { ...state, lines: withTyped(state.lines, event.id, event.text) };
    case "suggestions":
      return { ...state, suggestions: event.phrases };
    case "agentState":
      return { ...state, agentState: event.state };
    case "muted":
      return { ...state, muted: event.muted };
    case "reconnecting":
      return { ...state, reconnecting: event.reconnecting };
    case "audioBlocked":
      return { ...state, audioBlocked: event.blocked };
    case "microphoneSilent":
      // that it is silent is told as a notice too; here it is taken back
      return !event.silent && state.problem?.reason === "microphone_silent"
        ? { ...state, problem: null }
        : state;
    case "notice":
      return { ...state, problem: event.problem };
    case "ended":
      return { ...close(state, event.atMs), phase: "ended", endReason: event.reason };
    case "failed":
      return {
        ...close(state, event.atMs),
        phase: "failed",
        endReason: event.reason,
        problem: event.problem,
      };
  }
}

function close(state: TalkState, atMs: number): TalkState {
  return {
    ...state,
    endedAtMs: atMs,
    suggestions: [],
    audioBlocked: false,
    reconnecting: false,
    // Nothing more will come: what was heard last stands as it is.
    lines: state.lines.map((line) => (line.final ? line : { ...line, final: true })),
  };
}

function sameWords(a: string, b: string): boolean {
  const plain = (text: string) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, " ")
      .trim();
  return plain(a) === plain(b);
}

type Transcript = Extract<TalkEvent, { type: "transcript" }>;

/**
 * Put one caption in. Each one holds the whole text of its segment so far, so it replaces what stood there; a segment keeps
 * the place where it first appeared. What the caller typed stands at once, before the server says it back: that echo
 * takes the typed line's place instead of adding a second one.
 */
function withTranscript(lines: readonly Line[], event: Transcript): readonly Line[] {
  const at = lines.findIndex((line) => line.id === event.segmentId);
  const known = lines[at];
  if (known) {
    // A late partial must not undo a final text.
    if (known.final && !event.final) return lines;
    if (event.text.trim() === "") return event.final ? lines.filter((_, index) => index !== at) : lines;
    return lines.with(at, { ...known, text: event.text, final: event.final });
  }
  if (event.text.trim() === "") return lines;
  const fresh: Line = {
    id: event.segmentId,
    role: event.role,
    text: event.text,
    final: event.final,
    typed: false,
  };
  if (event.role === "user") {
    const echo = lines.findIndex(
      (line) => line.typed && isUnanswered(line) && sameWords(line.text, event.text),
    );
    if (echo >= 0) return lines.with(echo, { ...fresh, typed: true });
  }
  return [...lines, fresh];
}

const TYPED_PREFIX = "typed:";

function isUnanswered(line: Line): boolean {
  return line.id.startsWith(TYPED_PREFIX);
}

function withTyped(lines: readonly Line[], id: string, text: string): readonly Line[] {
  return [...lines, { id: TYPED_PREFIX + id, role: "user", text, final: true, typed: true }];
}
