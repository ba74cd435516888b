import { useQuery } from "@tanstack/react-query";
import { request } from "./http";
import type { Health, Me } from "./wire";

export function useMe() {
  return useQuery({
    queryKey: ["me"],
    queryFn: ({ signal }) => request<Me>("/v1/auth/me", { signal }),
    staleTime: 300_000,
  });
}

export function useHealth() {
  return useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => request<Health>("/v1/health", { signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** Trade a one-use sign-in link's token for a session cookie. The token is burnt by this, whatever comes back. */
export function signInWithLink(token: string): Promise<unknown> {
  return request("/v1/auth/sign-in-link", { method: "POST", body: { token } });
}

export function fetchMe(): Promise<Me> {
  return request<Me>("/v1/auth/me");
}

export function signOut(): Promise<void> {
  return request<void>("/v1/auth/logout", { method: "POST" });
}
