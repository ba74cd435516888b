/**
 * What went wrong, in words a program can compare. The same list stands in the README.
 */
export type CallErrorReason =
  /** The user, or a policy of the page or the browser, refused the microphone. */
  | "microphone_denied"
  /** There is no microphone, or not the one that was asked for. */
  | "microphone_not_found"
  /** Another program holds the microphone, or the system cannot start it. */
  | "microphone_in_use"
  /** The microphone delivers nothing but digital silence; the call goes on. */
  | "microphone_silent"
  /** The page is served over plain http from somewhere else than localhost: browsers give it no microphone. */
  | "insecure_context"
  /** The browser has no WebRTC. */
  | "unsupported_browser"
  /** The token's time to join has passed. */
  | "token_expired"
  /** The token has been used to join already: one token, one call. */
  | "token_used"
  /** Another tab is in the call, or has taken it over. */
  | "open_elsewhere"
  /** The token is missing, damaged, or not from this server. */
  | "token_invalid"
  /** The token's call is not there any more. */
  | "call_not_found"
  /** No answer from the server, or the connection to it was lost for good. */
  | "server_unreachable"
  /** The server answered, but sound could not be sent or received. */
  | "media_failed"
  /** The publishable key is not allowed on this page's origin. */
  | "origin_not_allowed"
  /** The key is unknown, paused, or not of the kind that belongs in a browser. */
  | "invalid_key"
  /** There is no agent of this id. */
  | "agent_not_found"
  /** The server refused what was asked; the message says which field. */
  | "invalid_request"
  /** Too many requests: try again after `retryAfterSeconds`. */
  | "rate_limited"
  /** The server carries as many calls as it can. */
  | "server_full"
  /** A call is started once, and one at a time. */
  | "already_started"
  /** This needs a connected call. */
  | "not_connected"
  /** The agent has no such method, or could not carry it out; `code` is LiveKit's number for why. */
  | "method_failed"
  /** The call is over. */
  | "ended"
  | "unknown";

/** What to do about each reason: the last sentence of every message. */
const MENDS: Record<CallErrorReason, string> = {
  microphone_denied: "Allow the microphone for this page in the browser's site settings, then start again.",
  microphone_not_found: "Plug in a microphone, or choose another one, then start again.",
  microphone_in_use: "Close the other program that uses the microphone, then start again.",
  microphone_silent:
    "Unmute the microphone at the headset or in the system's settings, or choose another one.",
  insecure_context: "Serve the page over https, or open it on localhost.",
  unsupported_browser: "Use a current Chrome, Edge, Firefox or Safari, with WebRTC not switched off.",
  token_expired: "Make a new call on your backend and connect with its token at once.",
  token_used: "Make a new call for every connection: a token joins once.",
  open_elsewhere: "Go back to that tab, or end the call there.",
  token_invalid: "Pass server_url and participant_token of the same answer to POST /v1/calls/web, unchanged.",
  call_not_found: "Make a new call on your backend and connect with its token.",
  server_unreachable: "Check the network, and that the server runs at this address.",
  media_failed: "Check that a firewall lets the server's media port through (UDP or TCP).",
  origin_not_allowed: "Add this page's origin to the publishable key's allowed origins.",
  invalid_key: "Use an active publishable key (oi_pk_...) of this server.",
  agent_not_found: "Check the agent's id (agt_...).",
  invalid_request: "Mend the request.",
  rate_limited: "Wait a moment before trying again.",
  server_full: "Try again in a moment, or add workers to the server.",
  already_started: "Make a new object for each call, or end the running call first.",
  not_connected: "Wait until connect() has resolved.",
  method_failed: "Check the method's name and its payload.",
  ended: "Make a new call.",
  unknown: "See the error's cause.",
};

export interface CallErrorDetail {
  /** The server's own code, such as `ORIGIN_NOT_ALLOWED`, where it sent one. */
  code?: string | undefined;
  /** The HTTP status of the server's answer, where there was one. */
  status?: number | undefined;
  /** Seconds after which trying again makes sense, where the server said so. */
  retryAfterSeconds?: number | undefined;
  /** The server's word for how the call ended, where that is what went wrong. */
  endReason?: string | undefined;
  /** What was thrown underneath. */
  cause?: unknown;
}

/**
 * The one error type of this package. Compare `reason`; show `message`, which says what happened and what mends it.
 */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly reason: CallErrorReason;
  readonly code: string | undefined;
  readonly status: number | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly endReason: string | undefined;

  constructor(reason: CallErrorReason, what: string, detail: CallErrorDetail = {}) {
    super(
      `${sentence(what)} ${MENDS[reason]}`,
      detail.cause === undefined ? undefined : { cause: detail.cause },
    );
    this.reason = reason;
    this.code = detail.code;
    this.status = detail.status;
    this.retryAfterSeconds = detail.retryAfterSeconds;
    this.endReason = detail.endReason;
  }
}

/** Return `error` as a `CallError`: itself, or wrapped with reason `unknown`. */
export function asCallError(error: unknown): CallError {
  if (error instanceof CallError) return error;
  const what = error instanceof Error ? error.message : String(error);
  return new CallError("unknown", `The call failed: ${what}`, { cause: error });
}

function sentence(text: string): string {
  const trimmed = text.trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
