import { CallError } from "./errors.js";
import { fromResponse } from "./http-errors.js";

/** What the server needs to know to make a call for a publishable key. */
export interface TokenRequest {
  agentId: string;
  variables?: Record<string, unknown> | undefined;
  metadata?: Record<string, unknown> | undefined;
}

/** A call made by the server, ready to be joined. */
export interface GrantedCall {
  callId: string;
  serverUrl: string;
  token: string;
}

/** `POST /v1/web-calls/token`. Throws `CallError`; an abort through `signal` throws one of reason `ended`. */
export async function requestToken(
  baseUrl: string,
  publishableKey: string,
  request: TokenRequest,
  signal: AbortSignal,
): Promise<GrantedCall> {
  const body = { agent_id: request.agentId, variables: request.variables, metadata: request.metadata };
  const answer = await ask(`${baseUrl}/v1/web-calls/token`, publishableKey, body, signal);
  const { id } = answer;
  if (typeof id !== "string") throw noServer(baseUrl);
  return { callId: id, ...placeOf(answer, baseUrl) };
}

/** `POST /v1/web-calls/connection-test`. Throws `CallError`. */
export async function requestTest(
  baseUrl: string,
  publishableKey: string,
): Promise<Omit<GrantedCall, "callId">> {
  return placeOf(await ask(`${baseUrl}/v1/web-calls/connection-test`, publishableKey, {}), baseUrl);
}

type Json = Record<string, unknown>;

async function ask(address: string, key: string, body: Json, signal?: AbortSignal): Promise<Json> {
  let response: Response;
  try {
    response = await fetch(address, {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials: "omit",
      signal: signal ?? null,
    });
  } catch (error) {
    if (signal?.aborted) throw new CallError("ended", "The call was ended before it was made");
    throw new CallError("server_unreachable", `${address.replace(/\/v1\/.*$/, "")} did not answer`, {
      cause: error,
    });
  }
  if (!response.ok) throw await fromResponse(response);
  return ((await response.json().catch(() => undefined)) ?? {}) as Json;
}

function placeOf({ server_url, participant_token }: Json, baseUrl: string): Omit<GrantedCall, "callId"> {
  if (typeof server_url !== "string" || typeof participant_token !== "string") throw noServer(baseUrl);
  return { serverUrl: server_url, token: participant_token };
}

function noServer(baseUrl: string): CallError {
  return new CallError("server_unreachable", `What answers at ${baseUrl} is not a OneInbox server`);
}
