/** Takes the Web SDK's place under `vite --mode mock`: a call that plays itself, to look at and to take pictures of. */
import type {
  AgentState,
  EndInfo,
  OneinboxCallOptions,
  TranscriptSegment,
  VolumeLevels,
} from "@oneinbox/web-sdk";

interface Step {
  afterMs: number;
  speaker?: "user" | "agent";
  segment?: TranscriptSegment;
  suggestions?: string[];
  state?: AgentState;
}

const AGENT_LINES = [
  "Hello, this is the OneInbox demo desk. Would you like to book a table, hear our opening hours, or talk to a person?",
  "We are open from eight in the morning until ten at night, every day but Monday. Would you like to book a table?",
];
const CALLER_LINES = ["What are your opening hours?", "Yes, a table for four, please."];

function spoken(id: string, role: "user" | "agent", text: string, startMs: number): Step[] {
  const words = text.split(" ");
  const steps: Step[] = [
    { afterMs: startMs, state: role === "agent" ? "speaking" : "listening", speaker: role },
  ];
  words.forEach((_, index) => {
    const final = index === words.length - 1;
    const sofar = words.slice(0, index + 1).join(" ");
    steps.push({ afterMs: startMs + 90 * (index + 1), segment: { segmentId: id, role, text: sofar, final } });
  });
  return steps;
}

const SCRIPT: Step[] = [
  ...spoken("a1", "agent", AGENT_LINES[0] ?? "", 200),
  { afterMs: 2300, suggestions: ["Book a table", "Opening hours", "Talk to a person"] },
  ...spoken("u1", "user", CALLER_LINES[0] ?? "", 3000),
  { afterMs: 3700, state: "thinking" },
  ...spoken("a2", "agent", AGENT_LINES[1] ?? "", 4200),
  { afterMs: 6300, suggestions: ["Yes", "No, thank you", "Talk to a person"] },
  ...spoken("u2", "user", CALLER_LINES[1] ?? "", 7000).slice(0, -2),
];

/** Nothing outlives a page here. */
export function keptCall(): undefined {
  return undefined;
}

export class OneinboxCall {
  #speaker: "user" | "agent" | null = null;
  #timers: ReturnType<typeof setTimeout>[] = [];
  #ended = false;
  #muted = false;

  constructor(private readonly options: OneinboxCallOptions) {}

  async connect(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 900));
    if (this.#ended) return;
    this.options.onStateChange?.("active");
    for (const step of SCRIPT) this.#timers.push(setTimeout(() => this.#play(step), step.afterMs));
  }

  #play({ speaker, segment, suggestions, state }: Step): void {
    if (speaker) this.#speaker = speaker;
    if (segment) this.options.onTranscript?.(segment);
    if (suggestions) this.options.onSuggestions?.(suggestions);
    if (state) this.options.onAgentState?.(state);
  }

  async disconnect(): Promise<void> {
    this.#end({ reason: "user_hangup" });
  }

  #end(info: EndInfo): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.options.onEnded?.(info);
  }

  async mute(): Promise<void> {
    this.#muted = true;
  }

  async unmute(): Promise<void> {
    this.#muted = false;
  }

  async sendText(text: string): Promise<void> {
    const id = String(Math.random());
    setTimeout(() => this.options.onTranscript?.({ segmentId: id, role: "user", text, final: true }), 250);
  }

  async startAudio(): Promise<void> {}

  volumeLevels(): VolumeLevels {
    const now = performance.now();
    const voice = 0.48 + 0.24 * Math.sin(now / 90) * Math.sin(now / 230) + 0.14 * Math.sin(now / 37);
    return {
      user: this.#muted ? 0 : this.#speaker === "user" ? voice : 0.1,
      agent: this.#speaker === "agent" ? voice : 0,
    };
  }
}
