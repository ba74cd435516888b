import { CallError, type CallErrorReason } from "./errors.js";

/** The server's error body: `{"error": {"code", "message", "param"}}`. */
export interface ErrorBody {
  code: string | undefined;
  message: string | undefined;
  param: string | undefined;
}

/** Read an error body; undefined where `text` is not one. */
export function readErrorBody(text: string): ErrorBody | undefined {
  try {
    const body: unknown = JSON.parse(text);
    const error = (body as { error?: unknown } | null)?.error;
    if (typeof error !== "object" || error === null) return undefined;
    const field = (name: string): string | undefined => {
      const value = (error as Record<string, unknown>)[name];
      return typeof value === "string" ? value : undefined;
    };
    return { code: field("code"), message: field("message"), param: field("param") };
  } catch {
    return undefined;
  }
}

/** Return the `CallError` for the server's refusal of a token request. */
export async function fromResponse(response: Response): Promise<CallError> {
  const body = readErrorBody(await response.text().catch(() => ""));
  const said = body?.message ?? `The server answered ${response.status}`;
  const retryAfter = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return new CallError(
    reasonOf(response.status, body?.code ?? ""),
    body?.param ? `${said} (${body.param})` : said,
    {
      code: body?.code,
      status: response.status,
      retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : undefined,
    },
  );
}

function reasonOf(status: number, code: string): CallErrorReason {
  const known = code.toUpperCase();
  if (known === "ORIGIN_NOT_ALLOWED") return "origin_not_allowed";
  if (known === "AGENT_NOT_FOUND") return "agent_not_found";
  switch (status) {
    case 401:
    case 403:
      return "invalid_key";
    case 404:
      return "server_unreachable"; // not our server, or not this part of it
    case 400:
    case 409:
    case 413:
    case 422:
      return "invalid_request";
    case 429:
      return "rate_limited";
    case 503:
      return "server_full";
    default:
      return "unknown";
  }
}
