import { useEffect, useRef, useState } from "react";
import { millis } from "@/format/time";
import { axis, PART_LABELS, type PartName, type TurnLatency } from "./latency";

const ROW_PX = 30;
const BAR_PX = 14;
const LABEL_PX = 62;
const TOTAL_PX = 62;
const AXIS_PX = 26;

const FILLS: Record<PartName, string> = {
  stt: "var(--part-stt)",
  wait: "var(--part-wait)",
  other: "var(--part-other)",
  llm: "var(--part-llm)",
  tts: "var(--part-tts)",
};

/**
 * One bar a turn, its parts laid end to end from the caller's last speech. The upright mark is what the caller really
 * waited: it stands before the bar's end where the parts overlapped (the model was asked before the turn was decided).
 */
export function LatencyChart({ turns }: { turns: readonly TurnLatency[] }) {
  const { ref, width } = useWidth();
  const longest = Math.max(...turns.map((turn) => Math.max(turn.totalMs, turn.perceivedMs ?? 0)));
  const { end, ticks } = axis(longest);
  const plot = Math.max(80, width - LABEL_PX - TOTAL_PX);
  const height = turns.length * ROW_PX + AXIS_PX;
  const x = (ms: number) => LABEL_PX + (ms / end) * plot;

  return (
    <div ref={ref} className="mt-4">
      {width > 0 && (
        <svg
          width={width}
          height={height}
          role="img"
          aria-label={inWords(turns)}
          className="block overflow-visible text-xs"
        >
          {ticks.map((tick) => (
            <g key={tick}>
              <line x1={x(tick)} x2={x(tick)} y1={0} y2={height - AXIS_PX} stroke="var(--line)" />
              <text x={x(tick)} y={height - 8} textAnchor="middle" fill="var(--ink-faint)">
                {millis(tick).replace(".00", "")}
              </text>
            </g>
          ))}
          {turns.map((turn, row) => (
            <Bar key={turn.turn} turn={turn} top={row * ROW_PX} x={x} right={width} />
          ))}
        </svg>
      )}
    </div>
  );
}

interface BarProps {
  turn: TurnLatency;
  top: number;
  x: (ms: number) => number;
  right: number;
}

function Bar({ turn, top, x, right }: BarProps) {
  const middle = top + ROW_PX / 2;
  let at = 0;
  return (
    <g>
      <text x={0} y={middle} dominantBaseline="central" fill="var(--ink-soft)">
        Turn {turn.turn}
      </text>
      {turn.parts.map((part) => {
        const from = at;
        at += part.ms;
        return (
          <rect
            key={part.name}
            x={x(from)}
            y={middle - BAR_PX / 2}
            width={Math.max(1.5, x(at) - x(from) - 1)}
            height={BAR_PX}
            rx={2.5}
            fill={FILLS[part.name]}
          >
            <title>{`${PART_LABELS[part.name]}: ${millis(part.ms)}`}</title>
          </rect>
        );
      })}
      {turn.perceivedMs !== null && (
        <line
          x1={x(turn.perceivedMs)}
          x2={x(turn.perceivedMs)}
          y1={middle - BAR_PX / 2 - 4}
          y2={middle + BAR_PX / 2 + 4}
          stroke="var(--ink)"
          strokeWidth={2}
          strokeLinecap="round"
        />
      )}
      <text
        x={right}
        y={middle}
        dominantBaseline="central"
        textAnchor="end"
        fill="var(--ink)"
        className="font-medium tabular-nums"
      >
        {millis(turn.perceivedMs ?? turn.totalMs)}
      </text>
    </g>
  );
}

function inWords(turns: readonly TurnLatency[]): string {
  return turns
    .map((turn) => {
      const parts = turn.parts.map((part) => `${PART_LABELS[part.name]} ${millis(part.ms)}`).join(", ");
      return `Turn ${turn.turn}: ${millis(turn.perceivedMs ?? turn.totalMs)} (${parts})`;
    })
    .join("; ");
}

function useWidth() {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const observer = new ResizeObserver(([entry]) =>
      setWidth(entry ? Math.floor(entry.contentRect.width) : 0),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return { ref, width };
}
