/**
 * A stand-in for the server: the mock build's files, and just enough of the REST API, kept in memory. Only for working on the
 * looks: `npm run mock`, then open the address that it prints. The token `expired` in a sign-in link is refused.
 */
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { agents, calls, keys, me, models } from "./data";

// Built into node_modules/.mock-server, beside the mock build.
const files = fileURLToPath(new URL("../.mock-dist/", import.meta.url));
const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};
// As strict as the real server may be: a page that needs more breaks here first.
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; media-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
let signedIn = process.argv.includes("--signed-in");

function send(answer: ServerResponse, status: number, body?: unknown): void {
  answer.writeHead(status, { "Content-Type": "application/json" });
  answer.end(body === undefined ? undefined : JSON.stringify(body));
}

function refuse(
  answer: ServerResponse,
  status: number,
  code: string,
  message: string,
  param: string | null = null,
): void {
  send(answer, status, { error: { code, message, param, request_id: "req_mock" } });
}

function page<T>(items: T[], url: URL): unknown {
  const limit = Number(url.searchParams.get("limit") ?? 20);
  const offset = Number(url.searchParams.get("offset") ?? 0);
  return { items: items.slice(offset, offset + limit), total: items.length, limit, offset };
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  let raw = "";
  for await (const chunk of request) raw += chunk;
  return raw === "" ? {} : JSON.parse(raw);
}

async function api(request: IncomingMessage, answer: ServerResponse, url: URL): Promise<void> {
  const [, , place = "", id = "", verb = ""] = url.pathname.split("/");
  const body = await readBody(request);
  if (place === "health") return send(answer, 200, { status: "ok", version: "0.1.0" });
  if (place === "auth" && id === "sign-in-link") {
    if (body.token === "expired")
      return refuse(answer, 401, "sign_in_link_invalid", "The sign-in link was used or has expired.");
    signedIn = true;
    return send(answer, 200, { access_token: "mock", token_type: "Bearer", expires_in_minutes: 60 });
  }
  if (place === "auth" && id === "logout") {
    signedIn = false;
    return send(answer, 204);
  }
  if (!signedIn) return refuse(answer, 401, "unauthenticated", "Sign in first.");
  if (place === "auth") return send(answer, 200, me);
  if (place === "agents") return agentRoutes(request, answer, url, id, body);
  if (place === "models") return modelRoutes(request, answer, url, id, body);
  if (place === "publishable-keys") return keyRoutes(request, answer, id, body);
  if (place === "calls") return callRoutes(request, answer, url, id, verb, body);
  refuse(answer, 404, "not_found", "There is no such route.");
}

type Body = Record<string, unknown>;

function agentRoutes(
  request: IncomingMessage,
  answer: ServerResponse,
  url: URL,
  id: string,
  body: Body,
): void {
  if (id === "" && request.method === "POST") {
    if (body.name === "bad") return refuse(answer, 422, "invalid", "This name is taken.", "name");
    const template = agents[3];
    if (!template) return;
    const made = {
      ...template,
      id: `agt_${agents.length}`,
      name: String(body.name),
      created_at: new Date().toISOString(),
    };
    agents.unshift(made);
    return send(answer, 201, made);
  }
  if (id === "") return send(answer, 200, page(agents, url));
  const found = agents.find((agent) => agent.id === id);
  if (!found) return refuse(answer, 404, "agent_not_found", "There is no agent of this id.");
  if (request.method === "DELETE") {
    agents.splice(agents.indexOf(found), 1);
    return send(answer, 204);
  }
  if (request.method === "PATCH") Object.assign(found, body);
  send(answer, 200, found);
}

function modelRoutes(
  request: IncomingMessage,
  answer: ServerResponse,
  url: URL,
  id: string,
  body: Body,
): void {
  if (id === "") return send(answer, 200, page(models, url));
  const found = models.find((model) => model.id === id);
  if (!found) return refuse(answer, 404, "model_not_found", "There is no model of this id.");
  if (request.method === "PATCH") Object.assign(found, body);
  send(answer, 200, found);
}

function keyRoutes(request: IncomingMessage, answer: ServerResponse, id: string, body: Body): void {
  if (id === "" && request.method === "POST") {
    const made = {
      id: `pk_${Date.now()}`,
      name: String(body.name),
      key_prefix: "oi_pk_live_mOck",
      is_active: true,
      allowed_origins: body.allowed_origins as string[],
      last_used_at: null,
      created_at: new Date().toISOString(),
    };
    keys.unshift(made);
    return send(answer, 201, { ...made, key: "oi_pk_live_mOckmOckmOckmOckmOckmOckmOckmOck" });
  }
  if (id === "") return send(answer, 200, keys);
  const found = keys.find((key) => key.id === id);
  if (!found) return refuse(answer, 404, "key_not_found", "There is no key of this id.");
  if (request.method === "DELETE") {
    keys.splice(keys.indexOf(found), 1);
    return send(answer, 204);
  }
  if (request.method === "PATCH") Object.assign(found, body);
  send(answer, 200, found);
}

function callRoutes(
  request: IncomingMessage,
  answer: ServerResponse,
  url: URL,
  id: string,
  verb: string,
  body: Body,
): void {
  if (id === "web") {
    const made = {
      id: "call_01k9full",
      agent_id: body.agent_id,
      type: "web",
      status: "queued",
      room_name: "web-0",
    };
    const server_url = `ws://${request.headers.host}`;
    return send(answer, 201, {
      ...made,
      server_url,
      participant_token: "mock",
      created_at: new Date().toISOString(),
    });
  }
  if (id === "") {
    const agent = url.searchParams.get("agent_id");
    const status = url.searchParams.get("status");
    const fit = calls.filter(
      (call) => (!agent || call.agent_id === agent) && (!status || call.status === status),
    );
    return send(answer, 200, page(fit, url));
  }
  const found = calls.find((call) => call.id === id);
  if (!found) return refuse(answer, 404, "call_not_found", "There is no call of this id.");
  if (verb === "stop")
    Object.assign(found, { status: "completed", end_reason: "api_stop", duration_seconds: 41 });
  send(answer, 200, found);
}

async function file(answer: ServerResponse, url: URL): Promise<void> {
  const path = normalize(join(files, url.pathname));
  const wanted = path.startsWith(files) && extname(path) !== "" ? path : join(files, "index.html");
  try {
    const bytes = await readFile(wanted);
    const type = TYPES[extname(wanted)] ?? "application/octet-stream";
    answer.writeHead(200, { "Content-Type": type, "Content-Security-Policy": POLICY }).end(bytes);
  } catch {
    refuse(answer, 404, "not_found", "There is no such file: was `npm run mock:build` run?");
  }
}

const server = createServer((request, answer) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  const work = url.pathname.startsWith("/v1/") ? api(request, answer, url) : file(answer, url);
  work.catch((error: unknown) => refuse(answer, 500, "mock_failed", String(error)));
});
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  console.log(`http://127.0.0.1:${port}/sign-in?token=mock`);
});
