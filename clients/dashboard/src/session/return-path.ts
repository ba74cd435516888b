const KEY = "oneinbox-return-path";
const HOME = "/agents";

/** Keep where a reader was when the session ran out, for after the next sign-in. */
export function keepReturnPath(path: string): void {
  try {
    sessionStorage.setItem(KEY, path);
  } catch {
    // Storage is switched off: the reader starts from the list of agents.
  }
}

/** Where to go after a sign-in. Forgets it. */
export function takeReturnPath(): string {
  try {
    const path = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    return path !== null && isOwnPath(path) ? path : HOME;
  } catch {
    return HOME;
  }
}

/** Whether `path` stays on this site: `//host` and `/\host` would not. */
export function isOwnPath(path: string): boolean {
  return /^\/(?![/\\])/.test(path) && !path.startsWith("/sign-in");
}
