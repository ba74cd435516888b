const FLOOR = 0.12; // about -53 dBFS: a quiet room
const FULL = 0.85; // about -9 dBFS: a raised voice close to the microphone

/** The SDK's level (0-1, linear in decibels from -60 dBFS to full scale) as a needle shows it: 0 in a quiet room. */
export function loudness(level: number): number {
  if (!(level > FLOOR)) return 0;
  return Math.min(1, (level - FLOOR) / (FULL - FLOOR)) ** 1.3;
}
