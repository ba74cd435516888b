import { ConnectionError } from "livekit-client";
import { CallError } from "./errors.js";
import { fromJoin } from "./livekit-errors.js";
import { GOODBYE, joinRequest, readSignal } from "./signal-wire.js";
import { deferred, within } from "./waiting.js";

const SIGNAL_LIMIT_MS = 8_000;
const PATH_LIMIT_MS = 5_000;
const LOOK_EVERY_MS = 50;

/** How sound can travel: straight by UDP, straight by TCP, or through a TURN server. */
export type ConnectionPath = "udp" | "tcp" | "turn";

/** The best first: UDP does not stutter where packets are lost. */
const PATHS: readonly ConnectionPath[] = ["udp", "tcp", "turn"];

export interface PathTest {
  /** Whether the server told of such a way. TURN servers are the operator's to set. */
  offered: boolean;
  /** Whether sound came through it. */
  works: boolean;
  /** From the first try to the first sound, in milliseconds, where it works. */
  tookMs?: number;
  /** The other end, as `address:port`, where it works. */
  address?: string;
}

/** What `testConnection` found. */
export interface ConnectionTest extends Record<ConnectionPath, PathTest> {
  /** What a call would go by: the first of `udp`, `tcp`, `turn` that works. Undefined: none does. */
  path: ConnectionPath | undefined;
  /** How long the server took to answer, in milliseconds. */
  signalMs: number;
}

export interface ConnectionTestOptions {
  /** `server_url` of the answer to `POST /v1/calls/web/connection-test`. */
  serverUrl: string;
  /** `participant_token` of the same answer. */
  token: string;
}

/**
 * Find out by which ways sound gets through between this page and the server, before there is a call: no microphone is
 * asked for, and no call is made. Takes less than a second where all is well, and at most 5 s for each way that is not.
 *
 * Resolves also where none works. Rejects with `CallError` where the server cannot be asked: `server_unreachable`,
 * `token_invalid`, `token_expired`, `server_full` (too many such tests at once), `unsupported_browser`.
 */
export async function testConnection({ serverUrl, token }: ConnectionTestOptions): Promise<ConnectionTest> {
  if (typeof RTCPeerConnection === "undefined") {
    throw new CallError("unsupported_browser", "This browser cannot carry a call");
  }
  if (!leadsIntoNoCall(token)) {
    throw new CallError(
      "token_invalid",
      "This is a call's token, and would be used up: ask for one to test with",
    );
  }
  const unknown = (): PathTest => ({ offered: false, works: false });
  const found: ConnectionTest = {
    path: undefined,
    signalMs: 0,
    udp: unknown(),
    tcp: unknown(),
    turn: unknown(),
  };
  let last: Line | undefined;
  try {
    // one after the other: the server has one place for this token, and they would slow each other down
    for (const path of PATHS) {
      last?.close();
      last = new Line(serverUrl, token);
      await last.open();
      if (path === PATHS[0]) found.signalMs = last.signalMs;
      found[path] = await last.try(path);
    }
  } finally {
    last?.close({ goodbye: true });
  }
  found.path = PATHS.find((path) => found[path].works);
  return found;
}

/** One join of the test's room, with one PeerConnection that receives a voice and sends none. */
class Line {
  readonly #peer = new RTCPeerConnection();
  readonly #serverUrl: string;
  readonly #token: string;
  #socket: WebSocket | undefined;
  #offer: RTCSessionDescriptionInit = { type: "offer" };
  #answer = "";
  #iceServers: RTCIceServer[] = [];
  signalMs = 0;

  constructor(serverUrl: string, token: string) {
    this.#serverUrl = serverUrl.replace(/^http/, "ws").replace(/\/+$/, "");
    this.#token = token;
    this.#peer.addTransceiver("audio", { direction: "recvonly" });
  }

  /** Ask the server for its answer. */
  async open(): Promise<void> {
    this.#offer = await this.#peer.createOffer();
    const began = performance.now();
    const answered = deferred<void>();
    const query = `access_token=${encodeURIComponent(this.#token)}&join_request=${joinRequest(this.#offer.sdp ?? "")}`;
    const socket = new WebSocket(`${this.#serverUrl}/rtc/v1?${query}`);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      const news = readSignal(new Uint8Array(data as ArrayBuffer));
      this.#iceServers = news.iceServers ?? this.#iceServers;
      this.#answer = news.answer ?? this.#answer;
      if (this.#answer) answered.resolve();
    };
    socket.onclose = () => answered.reject(new Error("the socket was closed"));
    try {
      await within(SIGNAL_LIMIT_MS, answered.promise, "The server did not answer");
    } catch {
      throw await this.#whyRefused();
    }
    this.signalMs = performance.now() - began;
  }

  /** See whether sound comes by `path`. */
  async try(path: ConnectionPath): Promise<PathTest> {
    const relays = this.#iceServers.filter(({ urls }) => [urls].flat().some((url) => url.startsWith("turn")));
    const answer = path === "turn" ? this.#answer : onlyBy(path, this.#answer);
    const offered = path === "turn" ? relays.length > 0 : /^a=candidate:/m.test(answer);
    if (!offered) return { offered, works: false };
    const began = performance.now();
    if (path === "turn") this.#peer.setConfiguration({ iceServers: relays, iceTransportPolicy: "relay" });
    await this.#peer.setLocalDescription(this.#offer);
    await this.#peer.setRemoteDescription({ type: "answer", sdp: answer });
    while (performance.now() - began < PATH_LIMIT_MS && this.#peer.connectionState !== "failed") {
      const address = await this.#heardFrom();
      if (address !== undefined) {
        return { offered, works: true, tookMs: Math.round(performance.now() - began), address };
      }
      await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
    }
    return { offered, works: false };
  }

  /** Whom sound came from; undefined where none came yet. */
  async #heardFrom(): Promise<string | undefined> {
    const stats = [...(await this.#peer.getStats()).values()];
    if (!stats.some((one) => one.type === "inbound-rtp" && one.packetsReceived > 0)) return undefined;
    const pair = stats.find(
      (one) => one.type === "candidate-pair" && one.nominated && one.state === "succeeded",
    );
    const other = stats.find((one) => one.id === pair?.remoteCandidateId);
    return other && `${other.address ?? other.ip}:${other.port}`;
  }

  close({ goodbye = false } = {}): void {
    const socket = this.#socket;
    if (goodbye && socket?.readyState === WebSocket.OPEN) socket.send(GOODBYE);
    socket?.close();
    this.#peer.close();
  }

  /** A browser does not tell why a WebSocket was refused: ask for it. */
  async #whyRefused(): Promise<CallError> {
    const address = `${this.#serverUrl.replace(/^ws/, "http")}/rtc/v1/validate?access_token=${encodeURIComponent(this.#token)}`;
    try {
      const answer = await fetch(address);
      const said = await answer.text();
      if (/too many/.test(said)) return new CallError("server_full", said);
      if (answer.status === 401) {
        return fromJoin(ConnectionError.notAllowed(said, 401), this.#serverUrl, this.#token);
      }
    } catch {
      // then it is not there at all
    }
    return new CallError("server_unreachable", `No connection to ${this.#serverUrl} could be made`);
  }
}

/** Return an answer with those of its candidates alone that are of one transport. */
function onlyBy(transport: string, answer: string): string {
  return answer
    .split("\r\n")
    .filter((line) => !line.startsWith("a=candidate:") || line.split(" ")[2]?.toLowerCase() === transport)
    .join("\r\n");
}

/** Whether a token is for testing: any other would let this page into a call, once. */
function leadsIntoNoCall(token: string): boolean {
  try {
    const part = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const claims = JSON.parse(atob(part)) as { attributes?: Record<string, unknown> } | null;
    return claims?.attributes?.["oi.probe"] === "true";
  } catch {
    return false;
  }
}
