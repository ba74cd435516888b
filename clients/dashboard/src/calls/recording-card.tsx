import { Download, MicOff, TriangleAlert } from "lucide-react";
import { type Call, isLive } from "@/api/wire";
import { Button } from "@/components/ui/button";
import { Card, CardTitle } from "@/components/ui/card";
import { clock } from "@/format/time";
import type { Player } from "./player";

/** The sound of the call: the caller on the left, the agent on the right. Absent where the call is not recorded. */
export function RecordingCard({ call, player }: { call: Call; player: Player | null }) {
  const { recording } = call;
  if (!recording) return null;
  return (
    <Card className="mt-6 flex flex-col gap-3 p-6">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <CardTitle>Recording</CardTitle>
        {player && (
          <div className="flex items-center gap-4">
            <span className="text-[13px] text-ink-faint">
              <span className="text-caller-ink">Caller left</span> ·{" "}
              <span className="text-agent-ink">agent right</span>
            </span>
            <Button asChild look="quiet" size="sm">
              <a href={player.url} download={`${call.id}.ogg`}>
                <Download /> Download
              </a>
            </Button>
          </div>
        )}
      </div>
      {player ? <Sound player={player} /> : <p className="text-ink-soft">{words(call)}</p>}
      {recording.error && (
        <p className="flex items-center gap-2 text-danger text-sm [&_svg]:size-4 [&_svg]:shrink-0">
          <TriangleAlert /> {recording.error}
        </p>
      )}
    </Card>
  );
}

function Sound({ player }: { player: Player }) {
  return (
    // biome-ignore lint/a11y/useMediaCaption: the transcript stands beside it, and follows it
    <audio
      ref={player.element}
      src={player.url}
      controls
      preload="metadata"
      aria-label="Recording of the call"
      className="h-11 w-full"
      onTimeUpdate={({ currentTarget }) =>
        player.noteTime(currentTarget.paused ? null : currentTarget.currentTime)
      }
      onPause={() => player.noteTime(null)}
    />
  );
}

function words(call: Call): string {
  switch (call.recording?.status) {
    case "recording":
      return isLive(call) ? "The call is being recorded." : "The recording is being brought in order.";
    case "failed":
      return "Nothing could be recorded.";
    case "deleting":
      return "The recording is being deleted.";
    case "available":
      return "The recording is in a store that this server does not know any more.";
    default:
      return "The recording is on its way to where it is kept.";
  }
}

/** Said where the server heard nothing but zeros of the caller's microphone. */
export function MicrophoneNote({ call }: { call: Call }) {
  if (typeof call.microphone_silent_at_s !== "number") return null;
  return (
    <p className="mt-6 flex items-center gap-2.5 rounded-lg bg-danger-wash px-4 py-3 text-sm [&_svg]:size-4 [&_svg]:shrink-0 [&_svg]:text-danger">
      <MicOff />
      <span>
        The caller's microphone delivered nothing, not even noise, from the beginning on (noticed at{" "}
        {clock(call.microphone_silent_at_s)}): a switch on the headset, or a dead device.
      </span>
    </p>
  );
}
