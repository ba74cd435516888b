import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { request } from "./http";
import type { NewPublishableKey, PublishableKey } from "./wire";

const PATH = "/v1/publishable-keys";

export function usePublishableKeys() {
  return useQuery({
    queryKey: ["keys"],
    queryFn: ({ signal }) => request<PublishableKey[]>(PATH, { signal }),
  });
}

export function useCreateKey() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: { name: string; allowed_origins: string[] }) =>
      request<NewPublishableKey>(PATH, { method: "POST", body }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["keys"] }),
  });
}

export function useUpdateKey() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({
      id,
      ...body
    }: {
      id: string;
      is_active?: boolean;
      name?: string;
      allowed_origins?: string[];
    }) => request<PublishableKey>(`${PATH}/${encodeURIComponent(id)}`, { method: "PATCH", body }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["keys"] }),
  });
}

export function useDeleteKey() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => request<void>(`${PATH}/${encodeURIComponent(id)}`, { method: "DELETE" }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["keys"] }),
  });
}

/** Split what was typed into a list of origins: one a line (or comma), blanks and doubles dropped. */
export function parseOrigins(typed: string): string[] {
  const origins = typed.split(/[\n,]/).map((line) => line.trim());
  return [...new Set(origins.filter((line) => line !== ""))];
}
