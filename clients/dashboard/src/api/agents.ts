import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { request } from "./http";
import type { Agent, LanguageModel, Page } from "./wire";

export function useAgents(offset = 0, limit = 100) {
  return useQuery({
    queryKey: ["agents", { offset, limit }],
    queryFn: ({ signal }) => request<Page<Agent>>("/v1/agents", { query: { limit, offset }, signal }),
  });
}

export function useAgent(id: string | null) {
  return useQuery({
    queryKey: ["agents", id],
    queryFn: ({ signal }) => request<Agent>(`/v1/agents/${encodeURIComponent(id ?? "")}`, { signal }),
    enabled: id !== null,
  });
}

export function useModels() {
  return useQuery({
    queryKey: ["models"],
    queryFn: ({ signal }) => request<Page<LanguageModel>>("/v1/models", { query: { limit: 100 }, signal }),
  });
}

export function useModel(id: string | null | undefined) {
  return useQuery({
    queryKey: ["models", id],
    queryFn: ({ signal }) => request<LanguageModel>(`/v1/models/${encodeURIComponent(id ?? "")}`, { signal }),
    enabled: Boolean(id),
  });
}

export interface AgentDraft {
  name: string;
  first_message: string;
  system_prompt: string;
}

/** Make an agent. Its language model is made for it by the server; a prompt, where given, is then put into that model. */
export function useCreateAgent() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (draft: AgentDraft): Promise<Agent> => {
      const agent = await request<Agent>("/v1/agents", {
        method: "POST",
        body: { name: draft.name, first_message: draft.first_message || null },
      });
      if (draft.system_prompt !== "" && agent.llm_id) {
        await patchModel(agent.llm_id, { system_prompt: draft.system_prompt });
      }
      return agent;
    },
    onSettled: () => refreshAgents(queries),
  });
}

/** Save what changed: name and first message stand on the agent, the prompt on its model. */
export function useSaveAgent(agent: Agent) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (change: Partial<AgentDraft>): Promise<void> => {
      const { system_prompt: prompt, ...own } = change;
      if (Object.keys(own).length > 0) {
        const first = own.first_message;
        await request<Agent>(`/v1/agents/${encodeURIComponent(agent.id)}`, {
          method: "PATCH",
          body: { ...own, ...(first === undefined ? {} : { first_message: first || null }) },
        });
      }
      if (prompt !== undefined && agent.llm_id) await patchModel(agent.llm_id, { system_prompt: prompt });
    },
    onSettled: () => refreshAgents(queries),
  });
}

export function useDeleteAgent() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => request<void>(`/v1/agents/${encodeURIComponent(id)}`, { method: "DELETE" }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["agents"], exact: false, refetchType: "none" }),
  });
}

function patchModel(id: string, body: Partial<LanguageModel>): Promise<LanguageModel> {
  return request<LanguageModel>(`/v1/models/${encodeURIComponent(id)}`, { method: "PATCH", body });
}

function refreshAgents(queries: ReturnType<typeof useQueryClient>): Promise<unknown> {
  return Promise.all([
    queries.invalidateQueries({ queryKey: ["agents"] }),
    queries.invalidateQueries({ queryKey: ["models"] }),
  ]);
}
