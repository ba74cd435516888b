import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { request } from "./http";
import { type Call, isLive, type Page, type WebCall } from "./wire";

export const CALLS_PER_PAGE = 20;
const LIVE_REFRESH_MS = 2_000;
const IDLE_REFRESH_MS = 15_000;
/** A record may still gain its last lines just after its end. */
const SETTLING_MS = 6_000;

export interface CallFilters {
  agentId: string | null;
  status: string | null;
  offset: number;
}

/** One page of calls, newest first, filtered by the server; refreshed by itself, sooner while one of them is live. */
export function useCalls({ agentId, status, offset }: CallFilters) {
  return useQuery({
    queryKey: ["calls", { agentId, status, offset }],
    queryFn: ({ signal }) =>
      request<Page<Call>>("/v1/calls", {
        query: { agent_id: agentId, status, limit: CALLS_PER_PAGE, offset },
        signal,
      }),
    placeholderData: keepPreviousData,
    refetchInterval: (query) => (query.state.data?.items.some(isLive) ? LIVE_REFRESH_MS : IDLE_REFRESH_MS),
  });
}

export function fetchCall(id: string, options: { signal?: AbortSignal } = {}): Promise<Call> {
  return request<Call>(`/v1/calls/${encodeURIComponent(id)}`, options);
}

export function useCall(id: string) {
  return useQuery({
    queryKey: ["calls", id],
    queryFn: ({ signal }) => fetchCall(id, { signal }),
    refetchInterval: (query) => {
      const call = query.state.data;
      return call && (isLive(call) || endedJustNow(call)) ? LIVE_REFRESH_MS : false;
    },
  });
}

function endedJustNow(call: Call): boolean {
  return call.ended_at !== null && Date.now() - Date.parse(call.ended_at) < SETTLING_MS;
}

export function useStopCall(id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => stopCall(id),
    onSuccess: (call) => queries.setQueryData(["calls", id], call),
    onSettled: () => queries.invalidateQueries({ queryKey: ["calls"] }),
  });
}

export function stopCall(id: string): Promise<Call> {
  return request<Call>(`/v1/calls/${encodeURIComponent(id)}/stop`, { method: "POST" });
}

/** Open a call with an agent; what comes back lets this browser, and nobody else, join it once. */
export function createWebCall(agentId: string): Promise<WebCall> {
  return request<WebCall>("/v1/calls/web", { method: "POST", body: { agent_id: agentId } });
}
