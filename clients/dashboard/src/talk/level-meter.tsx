import { useEffect, useRef } from "react";
import { cn } from "@/cn";
import { loudness } from "./loudness";
import { talkSession } from "./talk-session";

interface LevelMeterProps {
  side: "user" | "agent";
  label: string;
  running: boolean;
}

/** A side's loudness as a bar. It moves by `transform` alone, outside React, and is told to screen readers as a meter. */
export function LevelMeter({ side, label, running }: LevelMeterProps) {
  const bar = useRef<HTMLDivElement>(null);
  const meter = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const fill = bar.current;
    if (!fill || !running) return;
    let level = 0;
    let told = -1;
    let frame = requestAnimationFrame(function tick() {
      const heard = loudness(talkSession.levels()[side]);
      // Up at once, down slowly, as a needle does.
      level = heard > level ? level + (heard - level) * 0.55 : level + (heard - level) * 0.12;
      fill.style.transform = `scaleX(${level.toFixed(3)})`;
      const tenth = Math.round(level * 10);
      if (tenth !== told) {
        told = tenth;
        meter.current?.setAttribute("aria-valuenow", String(tenth * 10));
      }
      frame = requestAnimationFrame(tick);
    });
    return () => {
      cancelAnimationFrame(frame);
      fill.style.transform = "scaleX(0)";
    };
  }, [running, side]);

  return (
    <div className="flex items-center gap-3">
      <span
        className={cn(
          "w-12 text-right font-medium text-[13px]",
          side === "user" ? "text-caller-ink" : "text-agent-ink",
        )}
      >
        {label}
      </span>
      <div
        ref={meter}
        role="meter"
        aria-label={side === "user" ? "Your microphone's level" : "The agent's level"}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={0}
        className="h-2 flex-1 overflow-hidden rounded-full bg-line"
      >
        <div
          ref={bar}
          className={cn(
            "h-full origin-left rounded-full [transform:scaleX(0)]",
            side === "user" ? "bg-caller" : "bg-agent",
          )}
        />
      </div>
    </div>
  );
}
