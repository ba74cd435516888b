import { type RefObject, useMemo, useRef, useState } from "react";
import type { Call } from "@/api/wire";

/** The recording of a call while it is listened to. Its clock is that of the transcript. */
export interface Player {
  /** Goes to the page's audio element. */
  element: RefObject<HTMLAudioElement | null>;
  /** The address that is played: the first one that was given, since each refetch of the call brings another. */
  url: string;
  /** Where it plays, in seconds; null while it does not play. */
  atS: number | null;
  noteTime: (atS: number | null) => void;
  playFrom: (atS: number) => void;
}

/** Playing begins a little early, so that the first sound is not cut. */
const LEAD_S = 0.15;

/** A player for the call's recording; null where there is none (yet). */
export function usePlayer(call: Call | undefined): Player | null {
  const element = useRef<HTMLAudioElement>(null);
  const first = useRef<{ id: string; url: string } | null>(null);
  const [atS, setAtS] = useState<number | null>(null);
  if (call?.recording_url && first.current?.id !== call.id)
    first.current = { id: call.id, url: call.recording_url };
  const url = call?.recording_url && first.current ? first.current.url : null;
  return useMemo(() => {
    if (url === null) return null;
    return {
      element,
      url,
      atS,
      noteTime: setAtS,
      playFrom: (startS: number) => {
        const audio = element.current;
        if (!audio) return;
        audio.currentTime = Math.max(0, startS - LEAD_S);
        void audio.play();
      },
    };
  }, [url, atS]);
}
