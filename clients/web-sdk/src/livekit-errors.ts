import { ConnectionError, ConnectionErrorReason, DisconnectReason, RpcError } from "livekit-client";
import { asCallError, CallError, type CallErrorReason } from "./errors.js";
import type { EndInfo } from "./events.js";
import { readErrorBody } from "./http-errors.js";

/** Return the `CallError` for what `getUserMedia` threw. */
export function fromMicrophone(error: unknown): CallError {
  const name = error instanceof Error ? error.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return new CallError("microphone_denied", "The microphone was not allowed", { cause: error });
    case "NotFoundError":
    case "OverconstrainedError":
      return new CallError("microphone_not_found", "No such microphone was found", { cause: error });
    case "NotReadableError":
    case "AbortError":
      return new CallError("microphone_in_use", "The microphone could not be started", { cause: error });
    default:
      return asCallError(error);
  }
}

/** Return the `CallError` for what livekit-client threw while joining with `token` at `serverUrl`. */
export function fromJoin(error: unknown, serverUrl: string, token: string): CallError {
  if (error instanceof CallError) return error;
  if (!(error instanceof ConnectionError)) {
    return new CallError("media_failed", `The call could not be set up: ${messageOf(error)}`, {
      cause: error,
    });
  }
  switch (error.reason) {
    case ConnectionErrorReason.NotAllowed:
      return refused(error, token);
    case ConnectionErrorReason.ServiceNotFound:
      return new CallError("server_unreachable", `There is no OneInbox media service at ${serverUrl}`, {
        cause: error,
      });
    case ConnectionErrorReason.LeaveRequest:
      return new CallError("ended", "The server ended the call while it was being connected", {
        cause: error,
      });
    case ConnectionErrorReason.Cancelled:
      return new CallError("ended", "The call was ended while it was being connected", { cause: error });
    case ConnectionErrorReason.InternalError:
      if (/PC connection/i.test(error.message)) {
        return new CallError("media_failed", "No media connection to the server could be made", {
          cause: error,
        });
      }
      return unreachable(serverUrl, error);
    default:
      return unreachable(serverUrl, error);
  }
}

/** Return the `CallError` for a call of a method of the agent's that failed. */
export function fromMethod(error: unknown, method: string): CallError {
  const code = error instanceof RpcError ? String(error.code) : undefined;
  return new CallError("method_failed", `${method} failed: ${messageOf(error)}`, { code, cause: error });
}

/** Return how a joined call ended, from livekit-client's reason for the disconnection. */
export function endOf(reason: DisconnectReason | undefined, told: string | undefined): EndInfo {
  if (told !== undefined) return { reason: told };
  switch (reason) {
    case DisconnectReason.CLIENT_INITIATED:
      return { reason: "user_hangup" };
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
    case DisconnectReason.PARTICIPANT_REMOVED:
      return { reason: "ended" };
    case DisconnectReason.DUPLICATE_IDENTITY:
      return {
        reason: "open_elsewhere",
        error: new CallError("open_elsewhere", "Another tab has taken the call over"),
      };
    case DisconnectReason.SERVER_SHUTDOWN:
      return {
        reason: "server_shutdown",
        error: new CallError("server_unreachable", "The server is shutting down"),
      };
    default:
      return {
        reason: "user_disconnected",
        error: new CallError("server_unreachable", "The connection was lost and did not come back"),
      };
  }
}

function unreachable(serverUrl: string, error: ConnectionError): CallError {
  return new CallError("server_unreachable", `No connection to ${serverUrl} could be made`, { cause: error });
}

/** The server refused the token. Its answer is the error's message, in prose or as an error body in JSON. */
function refused(error: ConnectionError, token: string): CallError {
  const body = readErrorBody(error.message.slice(Math.max(0, error.message.indexOf("{"))));
  const said = body?.message ?? error.message;
  const code = body?.code?.toLowerCase() ?? "";
  const detail = { code: body?.code, status: error.status, cause: error };
  const is = (reason: CallErrorReason, what: string): CallError => new CallError(reason, what, detail);
  if (code.includes("origin") || /\borigin\b/i.test(said)) {
    return is("origin_not_allowed", "The token was given to a page of another origin");
  }
  if (error.status === 404 || code === "call_not_found" || /\bno such call\b|\bcall is over\b/i.test(said)) {
    return is("call_not_found", "The call of this token is not there any more");
  }
  if (code.includes("expired") || /\bexpired\b/i.test(said))
    return is("token_expired", "The token has expired");
  if (code.includes("used") || /\bused\b/i.test(said))
    return is("token_used", "The token has been used already");
  if (hasExpired(token)) return is("token_expired", "The token has expired");
  return is("token_invalid", "The server does not accept this token");
}

/** Whether the token's own `exp` has passed by this machine's clock, which may be wrong: only ever a second opinion. */
function hasExpired(token: string): boolean {
  try {
    const claims: unknown = JSON.parse(
      atob((token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/")),
    );
    const exp = (claims as { exp?: unknown } | null)?.exp;
    return typeof exp === "number" && exp * 1000 < Date.now();
  } catch {
    return false; // not a JWT
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
