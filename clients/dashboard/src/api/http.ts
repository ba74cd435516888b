/** A request that the server refused, or that never reached it (`status` 0). `message` is fit to be shown. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly param: string | null = null,
    readonly requestId: string | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

/** Read an error body: ours (`{error: {code, message, param, request_id}}`), or whatever a proxy in between made. */
export function errorFrom(status: number, body: unknown): ApiError {
  const error = isRecord(body) && isRecord(body.error) ? body.error : {};
  const detail = isRecord(body) ? text(body.detail) : null;
  return new ApiError(
    status,
    text(error.code) ?? `http_${status}`,
    text(error.message) ?? detail ?? `The server answered ${status}.`,
    text(error.param),
    text(error.request_id),
  );
}

interface RequestOptions {
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  body?: unknown;
  query?: Record<string, string | number | null | undefined>;
  signal?: AbortSignal;
}

/**
 * Ask the REST API of the server that served this page. The session rides in an HttpOnly cookie, so no credential is ever
 * in reach of a script. Throws `ApiError`.
 */
export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  const url = query.size > 0 ? `${path}?${query}` : path;
  let answer: Response;
  try {
    answer = await fetch(url, {
      method: options.method ?? "GET",
      credentials: "same-origin",
      headers: {
        Accept: "application/json",
        ...(options.body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The server cannot be reached. Is it still running?");
  }
  const body = await readJson(answer);
  if (!answer.ok) throw errorFrom(answer.status, body);
  return body as T;
}

async function readJson(answer: Response): Promise<unknown> {
  const raw = await answer.text();
  if (raw === "") return undefined;
  try {
    return JSON.parse(raw);
  } catch {
    if (answer.ok) throw new ApiError(answer.status, "not_json", "The server's answer could not be read.");
    return undefined;
  }
}
