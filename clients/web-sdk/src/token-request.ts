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
  let response: Response;
  try {
    response = await fetch(`${baseUrl}/v1/web-calls/token`, {
      method: "POST",
      headers: { Authorization: `Bearer ${publishableKey}`, "Content-Type": "application/json" },
      body: JSON.stringify({
        agent_id: request.agentId,
        variables: request.variables,
        metadata: request.metadata,
      }),
      credentials: "omit",
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw new CallError("ended", "The call was ended before it was made");
    throw new CallError("server_unreachable", `${baseUrl} did not answer`, { cause: error });
  }
  if (!response.ok) throw await fromResponse(response);
  return readAnswer(await response.json().catch(() => undefined), baseUrl);
}

function readAnswer(answer: unknown, baseUrl: string): GrantedCall {
  const { id, server_url, participant_token } = (answer ?? {}) as Record<string, unknown>;
  if (typeof id !== "string" || typeof server_url !== "string" || typeof participant_token !== "string") {
    throw new CallError("server_unreachable", `What answers at ${baseUrl} is not a OneInbox server`);
  }
  return { callId: id, serverUrl: server_url, token: participant_token };
}
