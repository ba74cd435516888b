import {
  type AudioCaptureOptions,
  type DisconnectReason,
  type LocalAudioTrack,
  type Participant,
  type RemoteTrack,
  type Room,
  RoomEvent,
  Track,
} from "livekit-client";
import { Captions } from "./captions.js";
import { CallError } from "./errors.js";
import type { EndInfo, VolumeLevels } from "./events.js";
import { endOf, fromJoin, fromMethod, fromMicrophone } from "./livekit-errors.js";
import { browserParts, type Meter, type RoomParts } from "./room-parts.js";
import type { JoinOptions, RoomListener, RoomPort } from "./room-port.js";
import { type Deferred, deferred, within } from "./waiting.js";

/** The keypad's keys by their codes (RFC 4733). */
const KEYS = "0123456789*#ABCD";
/** How long after the join the agent's sound may take to come. */
const AGENT_TIMEOUT_MS = 15_000;
/** How long a goodbye may take before everything is dropped. */
const GOODBYE_TIMEOUT_MS = 2_000;
/** How long the server may take to close the room after it said that the call is over. */
const CLOSE_TIMEOUT_MS = 2_000;
/** How long, and how often, a page that was loaded anew tries a token that the page before still uses. */
const TAKE_OVER_TIMEOUT_MS = 3_000;
const TAKE_OVER_DELAY_MS = 300;

/** A room of the LiveKit protocol: OneInbox's embedded media endpoint, or a LiveKit server. */
export class LivekitRoom implements RoomPort {
  readonly #listener: RoomListener;
  readonly #parts: RoomParts;
  #room!: Room;
  readonly #captions: Captions;
  readonly #agentHeard: Deferred<void>;
  /** Rejects the join under way when the room is lost in the middle of it. */
  readonly #lost: Deferred<never>;
  #connected = false;
  #joined = false;
  /** Leaving or gone: nothing more is told. */
  #left = false;
  #goodbyeSaid: Promise<void> | undefined;
  #microphone: LocalAudioTrack | undefined;
  #muted = false;
  #meter: Meter | undefined;
  /** Resolves once the microphone runs, or will not. */
  #opening: Promise<unknown> = Promise.resolve();
  #audioElement: HTMLAudioElement | undefined;
  #ownsAudioElement = false;
  #endReason: string | undefined;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #told = new Map<string, string>();

  constructor(listener: RoomListener, parts: RoomParts = browserParts) {
    this.#listener = listener;
    this.#parts = parts;
    this.#captions = new Captions((segment) => listener.transcript(segment));
    this.#agentHeard = deferred();
    this.#lost = deferred();
  }

  async join(options: JoinOptions): Promise<void> {
    this.#muted = options.muted;
    this.#room = this.#parts.newRoom({ disconnectOnPageLeave: !options.resumable });
    this.#listen();
    for (const [name, method] of Object.entries(options.methods)) {
      this.#room.registerRpcMethod(name, async ({ payload }) => method(payload));
    }
    try {
      this.#parts.checkPage();
      const quiet = this.#parts.microphoneAllowed(); // answered while the rest is made
      this.#meter = this.#parts.newMeter();
      this.#audioElement = options.audioElement ?? this.#parts.newAudioElement();
      this.#ownsAudioElement = options.audioElement === undefined;
      const published = await this.#connect(options, await quiet);
      await Promise.race([
        Promise.all([
          published.done,
          within(AGENT_TIMEOUT_MS, this.#agentHeard.promise, "The agent did not join the call"),
        ]),
        this.#lost.promise,
      ]);
      this.#joined = true;
    } catch (error) {
      const failure = fromJoin(error, options.serverUrl, options.token);
      const said = this.#endReason;
      void this.leave();
      throw said === undefined ? failure : endedByServer(said);
    }
  }

  leave(): Promise<void> {
    this.#left = true; // before the goodbye, whose own events are not to be told
    this.#goodbyeSaid ??= this.#goodbye();
    return this.#goodbyeSaid;
  }

  async setMuted(muted: boolean): Promise<void> {
    this.#muted = muted;
    if (muted) await this.#microphone?.mute();
    else await this.#microphone?.unmute();
  }

  async sendText(text: string): Promise<void> {
    await this.#room.localParticipant.sendText(text, { topic: "lk.chat" });
  }

  async sendDigits(digits: string): Promise<void> {
    for (const digit of digits) {
      await this.#room.localParticipant.publishDtmf(KEYS.indexOf(digit), digit);
    }
  }

  async callMethod(method: string, payload: string): Promise<string> {
    const agent = [...this.#room.remoteParticipants.values()].find((participant) => participant.isAgent);
    try {
      const destinationIdentity = agent?.identity ?? "agent";
      return await this.#room.localParticipant.performRpc({ destinationIdentity, method, payload });
    } catch (error) {
      throw fromMethod(error, method);
    }
  }

  levels(): VolumeLevels {
    return this.#meter?.levels() ?? { user: 0, agent: 0 };
  }

  async startAudio(): Promise<void> {
    await Promise.all([this.#room.startAudio(), this.#audioElement?.play(), this.#meter?.resume()]);
  }

  async setInputDevice(deviceId: string): Promise<void> {
    try {
      await this.#room.switchActiveDevice("audioinput", deviceId);
    } catch (error) {
      throw fromMicrophone(error);
    }
    if (this.#microphone) this.#meter?.watch("user", this.#microphone.mediaStreamTrack);
  }

  async setOutputDevice(deviceId: string): Promise<void> {
    await this.#audioElement?.setSinkId(deviceId);
  }

  /**
   * Open the microphone and connect: side by side when no question will be asked, else the question first. Gives the
   * publishing of the microphone, which begins as soon as there is signalling: it need not wait for the media.
   */
  async #connect(options: JoinOptions, quiet: boolean): Promise<{ done: Promise<unknown> }> {
    const microphone = this.#openMicrophone(options.microphone);
    this.#opening = microphone.catch(() => undefined);
    if (!quiet) await microphone;
    if (this.#left) throw endedMeanwhile();
    const signalled = new Promise<void>((resolve) => {
      this.#room.once(RoomEvent.SignalConnected, () => resolve());
    });
    const connected = this.#enter(options);
    connected.catch(() => undefined); // where the microphone fails first, that is the error to tell
    const done = Promise.all([microphone, Promise.race([signalled, connected])]).then(([opened]) =>
      this.#room.localParticipant.publishTrack(opened, { source: Track.Source.Microphone }),
    );
    done.catch(() => undefined); // told where it is waited for
    await Promise.all([microphone, connected]);
    for (const participant of this.#room.remoteParticipants.values()) this.#readAttributes(participant);
    return { done }; // wrapped: an async function would wait for a bare promise
  }

  /** Connect. The page before may not be gone yet in the server's eyes: then its token is used for a moment longer. */
  async #enter({ serverUrl, token, resumable }: JoinOptions): Promise<void> {
    const giveUpAt = Date.now() + TAKE_OVER_TIMEOUT_MS;
    for (;;) {
      // every attempt has an engine of its own
      this.#room.engine?.on("tokenRefreshed", (fresh) => this.#listener.token(fresh));
      try {
        await this.#room.connect(serverUrl, token);
        return;
      } catch (error) {
        const used = fromJoin(error, serverUrl, token).reason === "token_used";
        if (!resumable || !used || this.#left || Date.now() > giveUpAt) throw error;
      }
      await new Promise((done) => setTimeout(done, TAKE_OVER_DELAY_MS));
      if (this.#left) throw endedMeanwhile();
    }
  }

  async #openMicrophone(constraints: MediaTrackConstraints): Promise<LocalAudioTrack> {
    let microphone: LocalAudioTrack;
    try {
      microphone = await this.#parts.openMicrophone(constraints as AudioCaptureOptions);
    } catch (error) {
      throw fromMicrophone(error);
    }
    if (this.#left) {
      microphone.stop();
      throw endedMeanwhile();
    }
    this.#microphone = microphone;
    if (this.#muted) await microphone.mute();
    this.#meter?.watch("user", microphone.mediaStreamTrack);
    this.#meter?.resume().catch(() => undefined); // a click may be needed: startAudio() tries again
    return microphone;
  }

  #listen(): void {
    this.#room
      .on(RoomEvent.Connected, () => {
        this.#connected = true;
      })
      .on(RoomEvent.TrackSubscribed, (track) => this.#onTrack(track))
      .on(RoomEvent.TrackUnsubscribed, (track) => this.#onTrackGone(track))
      .on(RoomEvent.ParticipantConnected, (participant) => this.#readAttributes(participant))
      .on(RoomEvent.ParticipantAttributesChanged, (_, participant) => this.#readAttributes(participant))
      .on(RoomEvent.DataReceived, (payload, _participant, _kind, topic) => this.#onData(payload, topic))
      .on(RoomEvent.MediaDevicesError, (error) => {
        if (this.#joined) this.#listener.error(fromMicrophone(error));
      })
      .on(RoomEvent.Reconnecting, () => this.#listener.connection("reconnecting"))
      .on(RoomEvent.SignalReconnecting, () => this.#listener.connection("reconnecting"))
      .on(RoomEvent.Reconnected, () => this.#listener.connection("connected"))
      .on(RoomEvent.Disconnected, (reason) => this.#onDisconnected(reason));
    // before connecting: what was sent while we joined is kept for handlers that stand by then
    this.#room.registerTextStreamHandler("lk.transcription", (stream, { identity }) => {
      void this.#captions.read(stream, this.#isUser(identity, stream.info.attributes) ? "user" : "agent");
    });
  }

  /** The user's words come under the user's own identity; or from the agent, marked with the user's track. */
  #isUser(sender: string, attributes: Record<string, string> = {}): boolean {
    const { identity, trackPublications } = this.#room.localParticipant;
    const track = attributes["lk.transcribed_track_id"];
    return sender === identity || (track !== undefined && trackPublications.has(track));
  }

  #onTrack(track: RemoteTrack): void {
    const element = this.#audioElement;
    if (track.kind !== Track.Kind.Audio || !element) return;
    track.attach(element);
    void this.#play(element);
    this.#meter?.watch("agent", track.mediaStreamTrack);
    this.#agentHeard.resolve();
  }

  async #play(element: HTMLAudioElement): Promise<void> {
    await this.#opening; // a page that records may also play, without another click
    try {
      await element.play();
    } catch (error) {
      if (error instanceof Error && error.name === "NotAllowedError") this.#listener.audioBlocked();
    }
  }

  #onTrackGone(track: RemoteTrack): void {
    if (track.kind !== Track.Kind.Audio) return;
    if (this.#audioElement) track.detach(this.#audioElement);
    this.#meter?.unwatch("agent");
  }

  #readAttributes(participant: Participant): void {
    if (participant === this.#room.localParticipant) return;
    const state = this.#changed(participant, "lk.agent.state");
    if (state !== undefined) this.#listener.agentState(state);
    const suggestions = this.#changed(participant, "oi.suggestions");
    const phrases = suggestions === undefined ? undefined : readPhrases(suggestions);
    if (phrases) this.#listener.suggestions(phrases);
  }

  /** Return the attribute if it is another than was told before. */
  #changed(participant: Participant, name: string): string | undefined {
    const value = participant.attributes[name];
    if (value === undefined || this.#told.get(name) === value) return undefined;
    this.#told.set(name, value);
    return value;
  }

  #onData(payload: Uint8Array, topic: string | undefined): void {
    if (topic !== "oi.event") return;
    const event = readJson(new TextDecoder().decode(payload)) as
      | { type?: unknown; reason?: unknown; silent?: unknown }
      | undefined;
    if (event?.type === "microphone" && typeof event.silent === "boolean") {
      this.#listener.microphoneSilent(event.silent);
    }
    if (event?.type !== "call_ended" || typeof event.reason !== "string") return;
    this.#endReason = event.reason;
    // the server closes the room now; where its word of that is lost, the call is over all the same
    this.#closeTimer ??= setTimeout(() => this.#onDisconnected(undefined), CLOSE_TIMEOUT_MS);
  }

  #onDisconnected(reason: DisconnectReason | undefined): void {
    // an attempt to connect that fails tells so itself, and knows more
    if (this.#left || !this.#connected) return;
    const info: EndInfo = endOf(reason, this.#endReason);
    this.#lost.reject(info.error ?? endedByServer(this.#endReason));
    if (!this.#joined) return; // join() fails, and leaves
    void this.leave();
    this.#listener.left(info);
  }

  async #goodbye(): Promise<void> {
    clearTimeout(this.#closeTimer);
    this.#agentHeard.resolve(); // a join under way has failed already: its timer need not run on
    this.#microphone?.stop();
    const element = this.#audioElement;
    if (element) element.srcObject = null;
    if (this.#ownsAudioElement) element?.remove();
    const bye = Promise.all([this.#room?.disconnect(), this.#meter?.close()]);
    // a goodbye that fails or hangs leaves nothing that the page can still see
    await within(GOODBYE_TIMEOUT_MS, bye, "").catch(() => undefined);
  }
}

function readPhrases(text: string): string[] | undefined {
  const phrases = readJson(text);
  return Array.isArray(phrases) && phrases.every((phrase) => typeof phrase === "string")
    ? phrases
    : undefined;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function endedMeanwhile(): CallError {
  return new CallError("ended", "The call was ended while it was being connected");
}

function endedByServer(reason: string | undefined): CallError {
  return new CallError("ended", "The server ended the call while it was being connected", {
    endReason: reason,
  });
}
