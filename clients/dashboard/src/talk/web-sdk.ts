import type { OneinboxCall } from "@oneinbox/web-sdk";
import type { TalkEvent } from "./talk-state";

/** The part of the Web SDK's call that these pages use. */
export type CallClient = Pick<
  OneinboxCall,
  "connect" | "disconnect" | "mute" | "unmute" | "sendText" | "volumeLevels" | "startAudio"
>;

interface OpenOptions {
  serverUrl: string;
  token: string;
  send: (event: TalkEvent) => void;
}

/** Load the Web SDK, in a chunk of its own, and make a call whose callbacks become Talk events. */
export async function openCall({ serverUrl, token, send }: OpenOptions): Promise<CallClient> {
  const { OneinboxCall } = await import("@oneinbox/web-sdk");
  return new OneinboxCall({
    serverUrl,
    token,
    resumable: true,
    onEnded: ({ reason, error }) => {
      const atMs = Date.now();
      if (error)
        send({ type: "failed", atMs, reason: reason === "connect_failed" ? null : reason, problem: error });
      else send({ type: "ended", atMs, reason: reason === "ended" ? null : reason });
    },
    onTranscript: ({ segmentId, role, text, final }) =>
      send({ type: "transcript", segmentId, role, text, final }),
    onSuggestions: (phrases) => send({ type: "suggestions", phrases }),
    onAgentState: (state) => send({ type: "agentState", state }),
    onAudioBlocked: () => send({ type: "audioBlocked", blocked: true }),
    onConnectionChange: (health) => send({ type: "reconnecting", reconnecting: health === "reconnecting" }),
    onMicrophoneSilent: (silent) => send({ type: "microphoneSilent", silent }),
    onError: (problem) => send({ type: "notice", problem }),
  });
}

/** The same for the call that the Web SDK kept when this tab's page was left; null where it kept none. */
export async function reopenCall(send: (event: TalkEvent) => void): Promise<CallClient | null> {
  const { keptCall } = await import("@oneinbox/web-sdk");
  const kept = keptCall();
  return kept ? await openCall({ ...kept, send }) : null;
}
