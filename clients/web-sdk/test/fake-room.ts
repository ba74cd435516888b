import { OneinboxCall, type OneinboxCallOptions } from "../src/call.js";
import type { CallError } from "../src/errors.js";
import type { JoinOptions, RoomListener, RoomPort } from "../src/room-port.js";

/** A room without a network: the test says when joining and leaving are through. */
export class FakeRoom implements RoomPort {
  joinedWith: JoinOptions | undefined;
  left = 0;
  muted: boolean[] = [];
  texts: string[] = [];
  methods: [string, string][] = [];
  #joined!: () => void;
  #refused!: (error: CallError) => void;
  readonly #joining: Promise<void>;
  #gone!: () => void;
  readonly #leaving: Promise<void>;

  constructor(readonly listener: RoomListener) {
    this.#joining = new Promise((resolve, reject) => {
      this.#joined = resolve;
      this.#refused = reject;
    });
    this.#leaving = new Promise((resolve) => {
      this.#gone = resolve;
    });
  }

  letIn(): void {
    this.#joined();
  }

  refuse(error: CallError): void {
    this.#refused(error);
  }

  letGo(): void {
    this.#gone();
  }

  join(options: JoinOptions): Promise<void> {
    this.joinedWith = options;
    return this.#joining;
  }

  leave(): Promise<void> {
    this.left += 1;
    return this.#leaving;
  }

  async setMuted(muted: boolean): Promise<void> {
    this.muted.push(muted);
  }

  async sendText(text: string): Promise<void> {
    this.texts.push(text);
  }

  async sendDigits(digits: string): Promise<void> {
    this.texts.push(`keys ${digits}`);
  }

  async callMethod(method: string, payload: string): Promise<string> {
    this.methods.push([method, payload]);
    return `${method} ${payload}`;
  }

  levels() {
    return { user: 0.25, agent: 0.75 };
  }

  async startAudio(): Promise<void> {}
  async setInputDevice(): Promise<void> {}
  async setOutputDevice(): Promise<void> {}
}

/** The real call over a fake room. */
export class TestCall extends OneinboxCall {
  readonly rooms: FakeRoom[] = [];

  protected override openRoom(listener: RoomListener): RoomPort {
    const room = new FakeRoom(listener);
    this.rooms.push(room);
    return room;
  }

  get room(): FakeRoom {
    const [room] = this.rooms;
    if (!room) throw new Error("no room was opened");
    return room;
  }
}

/** A call that writes down everything it tells, in order. */
export function recordedCall(more: Partial<OneinboxCallOptions> = {}): { call: TestCall; told: unknown[] } {
  const told: unknown[] = [];
  const call = new TestCall({
    serverUrl: "ws://127.0.0.1:1",
    token: "a.b.c",
    onStateChange: (state) => told.push(state),
    onEnded: (info) => told.push(["ended", info.reason]),
    onTranscript: (segment) => told.push(["transcript", segment.text]),
    onAgentState: (state) => told.push(["agentState", state]),
    onSuggestions: (phrases) => told.push(["suggestions", phrases]),
    onError: (error) => told.push(["error", error.reason]),
    onConnectionChange: (health) => told.push(["connection", health]),
    onAudioBlocked: () => told.push("audioBlocked"),
    ...more,
  });
  return { call, told };
}
