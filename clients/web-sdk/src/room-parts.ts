import {
  type AudioCaptureOptions,
  createLocalAudioTrack,
  DefaultReconnectPolicy,
  type LocalAudioTrack,
  LogLevel,
  Room,
  setLogLevel,
} from "livekit-client";
import { CallError } from "./errors.js";
import { VolumeMeter } from "./volume-meter.js";

/** Tries to restore a lost line: about 25 s in all, a little less than the server waits for us. */
const RECONNECT_DELAYS_MS = [0, 300, 1_200, 2_700, 4_800, 5_000, 5_000, 5_000];

export type Meter = Pick<VolumeMeter, "watch" | "unwatch" | "levels" | "resume" | "close">;

/** What the room is made of; tests put their own parts here. */
export interface RoomParts {
  newRoom(options: { disconnectOnPageLeave: boolean }): Room;
  openMicrophone(constraints: AudioCaptureOptions): Promise<LocalAudioTrack>;
  newMeter(): Meter;
  newAudioElement(): HTMLAudioElement;
  /** Throws `CallError` where the page can have no microphone at all. */
  checkPage(): void;
  /** Whether the user has allowed the microphone earlier, so that no question will be asked. */
  microphoneAllowed(): Promise<boolean>;
}

/** What the room is made of in a browser. */
export const browserParts: RoomParts = {
  newRoom({ disconnectOnPageLeave }) {
    setLogLevel(LogLevel.error);
    return new Room({
      disconnectOnPageLeave,
      reconnectPolicy: new DefaultReconnectPolicy(RECONNECT_DELAYS_MS),
    });
  },
  openMicrophone: (constraints) => createLocalAudioTrack(constraints),
  newMeter: () => new VolumeMeter(),
  newAudioElement() {
    const element = document.createElement("audio");
    element.autoplay = true;
    element.hidden = true;
    element.dataset["oneinbox"] = "agent";
    document.body.append(element);
    return element;
  },
  checkPage() {
    if (!globalThis.isSecureContext) {
      throw new CallError("insecure_context", `Browsers give no microphone to ${location.origin}`);
    }
    if (typeof RTCPeerConnection === "undefined" || !navigator.mediaDevices) {
      throw new CallError("unsupported_browser", "This browser cannot carry a call");
    }
  },
  async microphoneAllowed() {
    try {
      const permission = await navigator.permissions.query({ name: "microphone" as PermissionName });
      return permission.state === "granted";
    } catch {
      return false; // this browser does not tell
    }
  },
};
