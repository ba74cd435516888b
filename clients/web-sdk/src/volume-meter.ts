import type { VolumeLevels } from "./events.js";

const FLOOR_DB = -60;
/** About 43 ms at 48 kHz: short enough to follow syllables. */
const WINDOW_SAMPLES = 2048;

interface Probe {
  source: MediaStreamAudioSourceNode;
  analyser: AnalyserNode;
}

/** Measures how loud each side is. One AudioContext, nothing played through it. */
export class VolumeMeter {
  readonly #context: AudioContext;
  readonly #probes = new Map<keyof VolumeLevels, Probe>();
  readonly #samples = new Float32Array(WINDOW_SAMPLES);

  constructor() {
    this.#context = new AudioContext();
  }

  /** Measure `track` for `side` from now on, instead of what was measured before. */
  watch(side: keyof VolumeLevels, track: MediaStreamTrack): void {
    this.unwatch(side);
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = WINDOW_SAMPLES;
    const source = this.#context.createMediaStreamSource(new MediaStream([track]));
    source.connect(analyser);
    this.#probes.set(side, { source, analyser });
  }

  unwatch(side: keyof VolumeLevels): void {
    this.#probes.get(side)?.source.disconnect();
    this.#probes.delete(side);
  }

  levels(): VolumeLevels {
    return { user: this.#level("user"), agent: this.#level("agent") };
  }

  /** Start measuring where the browser holds audio back until a click. */
  async resume(): Promise<void> {
    if (this.#context.state === "suspended") await this.#context.resume();
  }

  async close(): Promise<void> {
    this.unwatch("user");
    this.unwatch("agent");
    if (this.#context.state !== "closed") await this.#context.close();
  }

  #level(side: keyof VolumeLevels): number {
    const probe = this.#probes.get(side);
    if (!probe) return 0;
    probe.analyser.getFloatTimeDomainData(this.#samples);
    return loudness(this.#samples);
  }
}

/** Return the loudness of samples between -1 and 1 as 0 (-60 dBFS or less) to 1 (0 dBFS), linear in decibels. */
export function loudness(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const db = 10 * Math.log10(sum / samples.length);
  return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
}
