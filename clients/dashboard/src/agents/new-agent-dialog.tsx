import { type FormEvent, type ReactNode, useState } from "react";
import { useLocation } from "wouter";
import { type AgentDraft, useCreateAgent } from "@/api/agents";
import { ApiError } from "@/api/http";
import { Button } from "@/components/ui/button";
import {
  Dialog,
  DialogBody,
  DialogClose,
  DialogContent,
  DialogFooter,
  DialogTrigger,
} from "@/components/ui/dialog";
import { AgentFields } from "./agent-fields";

const BLANK: AgentDraft = { name: "", first_message: "", system_prompt: "" };

export function NewAgentDialog({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState(false);
  const [draft, setDraft] = useState(BLANK);
  const [, navigate] = useLocation();
  const create = useCreateAgent();
  const error = create.error instanceof ApiError ? create.error : null;

  function change(next: boolean) {
    setOpen(next);
    if (next) {
      setDraft(BLANK);
      create.reset();
    }
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate(
      { ...draft, name: draft.name.trim() },
      { onSuccess: (agent) => navigate(`/agents/${agent.id}`) },
    );
  }

  return (
    <Dialog open={open} onOpenChange={change}>
      <DialogTrigger asChild>{children}</DialogTrigger>
      <DialogContent title="New agent" description="Only the name is needed; all of it can be changed later.">
        <form onSubmit={submit} className="contents">
          <DialogBody>
            <AgentFields draft={draft} onChange={setDraft} error={error} promptRows={6} />
          </DialogBody>
          <DialogFooter>
            <DialogClose asChild>
              <Button look="quiet">Cancel</Button>
            </DialogClose>
            <Button type="submit" disabled={draft.name.trim() === "" || create.isPending}>
              {create.isPending ? "Making it…" : "Make agent"}
            </Button>
          </DialogFooter>
        </form>
      </DialogContent>
    </Dialog>
  );
}
