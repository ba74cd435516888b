/** Seconds as a clock: `0:07`, `12:05`, `1:02:09`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** A length of time in words: `48 s`, `3 min 5 s`, `1 h 4 min`; a dash where it is not known. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600)
    return whole % 60 === 0 ? `${whole / 60} min` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round((whole % 3600) / 60);
  return minutes === 60
    ? `${Math.floor(whole / 3600) + 1} h 0 min`
    : `${Math.floor(whole / 3600)} h ${minutes} min`;
}

/** Milliseconds, shortened: `84 ms`, `1.24 s`; a dash where not known. */
export function millis(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "–";
  return Math.round(ms) < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

const DAY_S = 86_400;
const STEPS: readonly [limitS: number, unitS: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [3_600, 60, "minute"],
  [DAY_S, 3_600, "hour"],
  [7 * DAY_S, DAY_S, "day"],
];

/** How long ago, near; the date, further off. `now` in milliseconds since the epoch. */
export function ago(iso: string, now: number, locale?: string): string {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (!Number.isFinite(seconds)) return "–";
  if (Math.abs(seconds) < 60) return "just now";
  const words = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  for (const [limit, unitS, unit] of STEPS) {
    if (Math.abs(seconds) < limit) return words.format(-Math.trunc(seconds / unitS), unit);
  }
  const sameYear = new Date(iso).getFullYear() === new Date(now).getFullYear();
  return new Intl.DateTimeFormat(locale, {
    day: "numeric",
    month: "short",
    ...(sameYear ? {} : { year: "numeric" }),
  }).format(new Date(iso));
}

/** Date and time to the second, in the reader's own zone; a dash where not known. */
export function moment(iso: string | null | undefined, locale?: string): string {
  if (!iso || Number.isNaN(Date.parse(iso))) return "–";
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(iso));
}
