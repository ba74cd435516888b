import { useEffect, useRef } from "react";
import { useTheme } from "@/shell/theme";
import { loudness } from "./loudness";
import { talkSession } from "./talk-session";
import type { TalkPhase } from "./talk-state";

const TICKS = 44; // to each side
const SAMPLE_MS = 48; // one tick's worth of sound: a side holds about two seconds
const GAP = 0.16; // radians left open at the top and at the bottom

interface DialProps {
  phase: TalkPhase;
  size: number;
}

/**
 * The ring around the Talk button: the caller's voice down its left side, the agent's down its right, newest at the top. It
 * is decoration (the meters below say the same to everyone), so it is hidden from screen readers and stands still where
 * less motion is asked for.
 */
export function Dial({ phase, size }: DialProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { shown } = useTheme();

  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme's colours are read from CSS when it changes
  useEffect(() => {
    const element = canvas.current;
    const pen = element?.getContext("2d");
    if (!element || !pen) return;
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    element.width = size * scale;
    element.height = size * scale;
    const ring = new Ring(pen, size, scale, getComputedStyle(document.documentElement));
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    ring.draw(phase, 0);
    if (still || phase === "idle" || phase === "ended" || phase === "failed") return;
    let frame = requestAnimationFrame(function tick(now) {
      const { user, agent } = talkSession.levels();
      ring.hear(user, agent, now);
      ring.draw(phase, now);
      frame = requestAnimationFrame(tick);
    });
    return () => cancelAnimationFrame(frame);
  }, [phase, size, shown]);

  return <canvas ref={canvas} aria-hidden className="absolute inset-0 size-full" />;
}

/** Two histories of loudness, drawn as ticks on a circle. */
class Ring {
  readonly #user = new Float32Array(TICKS);
  readonly #agent = new Float32Array(TICKS);
  readonly #shownUser = new Float32Array(TICKS);
  readonly #shownAgent = new Float32Array(TICKS);
  readonly #colours: { user: string; agent: string; rest: string };
  #sampledAt = 0;
  #peakUser = 0;
  #peakAgent = 0;

  constructor(
    private readonly pen: CanvasRenderingContext2D,
    private readonly size: number,
    private readonly scale: number,
    style: CSSStyleDeclaration,
  ) {
    this.#colours = {
      user: style.getPropertyValue("--caller"),
      agent: style.getPropertyValue("--agent"),
      rest: style.getPropertyValue("--line-strong"),
    };
  }

  hear(user: number, agent: number, now: number): void {
    this.#peakUser = Math.max(this.#peakUser, user);
    this.#peakAgent = Math.max(this.#peakAgent, agent);
    if (now - this.#sampledAt < SAMPLE_MS) return;
    this.#sampledAt = now;
    this.#user.copyWithin(1, 0);
    this.#agent.copyWithin(1, 0);
    this.#user[0] = this.#peakUser;
    this.#agent[0] = this.#peakAgent;
    this.#peakUser = 0;
    this.#peakAgent = 0;
  }

  draw(phase: TalkPhase, now: number): void {
    const { pen, size, scale } = this;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, size, size);
    pen.translate(size / 2, size / 2);
    pen.lineCap = "round";
    pen.lineWidth = Math.max(2, size / 110);
    const waiting = phase === "preparing" || phase === "connecting";
    const resting = !waiting && phase !== "active";
    this.#side(-1, this.#user, this.#shownUser, this.#colours.user, waiting ? now : null, resting);
    this.#side(1, this.#agent, this.#shownAgent, this.#colours.agent, waiting ? now : null, resting);
  }

  #side(
    direction: 1 | -1,
    heard: Float32Array,
    shown: Float32Array,
    colour: string,
    waitingAt: number | null,
    resting: boolean,
  ): void {
    const inner = this.size * 0.375;
    const reach = this.size * 0.115;
    for (let index = 0; index < TICKS; index++) {
      const target = heard[index] ?? 0;
      const before = shown[index] ?? 0;
      const level = before + (target - before) * 0.4;
      shown[index] = level;
      // A quiet room's hum stays down; what is older fades.
      const height = loudness(level) * (1 - (index / TICKS) * 0.45);
      const angle = direction * (GAP + ((Math.PI - 2 * GAP) * index) / (TICKS - 1)) - Math.PI / 2;
      const length = Math.max(this.size * 0.008, height * reach);
      const wave = waitingAt === null ? 0 : Math.max(0, Math.cos(waitingAt / 420 - index / 4.5)) ** 6;
      this.pen.strokeStyle = resting || height > 0.03 || wave > 0.1 ? colour : this.#colours.rest;
      this.pen.globalAlpha =
        waitingAt !== null ? 0.3 + 0.7 * wave : resting || height <= 0.03 ? 0.7 : 0.5 + 0.5 * height;
      this.pen.beginPath();
      this.pen.moveTo(Math.cos(angle) * inner, Math.sin(angle) * inner);
      this.pen.lineTo(Math.cos(angle) * (inner + length), Math.sin(angle) * (inner + length));
      this.pen.stroke();
    }
    this.pen.globalAlpha = 1;
  }
}
