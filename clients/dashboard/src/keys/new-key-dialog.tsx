import { type FormEvent, type ReactNode, useState } from "react";
import { ApiError } from "@/api/http";
import { parseOrigins, useCreateKey } from "@/api/keys";
import type { NewPublishableKey } from "@/api/wire";
import { Code } from "@/components/code";
import { Button } from "@/components/ui/button";
import {
  Dialog,
  DialogBody,
  DialogClose,
  DialogContent,
  DialogFooter,
  DialogTrigger,
} from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { Input, Textarea } from "@/components/ui/input";

interface NewKeyDialogProps {
  onMade: (key: NewPublishableKey) => void;
  children: ReactNode;
}

export function NewKeyDialog({ onMade, children }: NewKeyDialogProps) {
  const [open, setOpen] = useState(false);
  const [name, setName] = useState("");
  const [typed, setTyped] = useState("");
  const create = useCreateKey();
  const origins = parseOrigins(typed);
  const error = create.error instanceof ApiError ? create.error : null;
  const aboutOrigins = error?.param?.startsWith("allowed_origins") ?? false;

  function change(next: boolean) {
    setOpen(next);
    if (!next) return;
    setName("");
    setTyped(window.location.origin);
    create.reset();
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate(
      { name: name.trim(), allowed_origins: origins },
      {
        onSuccess: (key) => {
          setOpen(false);
          onMade(key);
        },
      },
    );
  }

  return (
    <Dialog open={open} onOpenChange={change}>
      <DialogTrigger asChild>{children}</DialogTrigger>
      <DialogContent
        title="New publishable key"
        description="It will be shown once, so that you can paste it into a page."
      >
        <form onSubmit={submit} className="contents">
          <DialogBody>
            <Field label="Name" error={error?.param === "name" ? error.message : null}>
              {(props) => (
                <Input
                  {...props}
                  required
                  maxLength={255}
                  value={name}
                  onChange={(event) => setName(event.target.value)}
                  placeholder="Shop front"
                />
              )}
            </Field>
            <Field
              label="Sites that may use it"
              error={aboutOrigins ? error?.message : null}
              hint={
                <>
                  One origin a line, such as <Code>https://shop.example</Code>. Calls from any other site are
                  refused. <Code>*</Code> lets every site in.
                </>
              }
            >
              {(props) => (
                <Textarea
                  {...props}
                  rows={4}
                  spellCheck={false}
                  value={typed}
                  onChange={(event) => setTyped(event.target.value)}
                  className="font-mono text-[13px]"
                />
              )}
            </Field>
            {error && error.param !== "name" && !aboutOrigins && (
              <p role="alert" className="rounded-md bg-danger-wash px-3 py-2 text-danger text-sm">
                {error.message}
              </p>
            )}
          </DialogBody>
          <DialogFooter>
            <DialogClose asChild>
              <Button look="quiet">Cancel</Button>
            </DialogClose>
            <Button type="submit" disabled={name.trim() === "" || origins.length === 0 || create.isPending}>
              {create.isPending ? "Making it…" : "Make key"}
            </Button>
          </DialogFooter>
        </form>
      </DialogContent>
    </Dialog>
  );
}
