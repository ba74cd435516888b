import type { AgentDraft } from "@/api/agents";
import type { ApiError } from "@/api/http";
import { Code } from "@/components/code";
import { Field } from "@/components/ui/field";
import { Input, Textarea } from "@/components/ui/input";

interface AgentFieldsProps {
  draft: AgentDraft;
  onChange: (draft: AgentDraft) => void;
  error: ApiError | null;
  promptRows: number;
  /** The replies are scripted: there is no prompt. */
  scripted?: boolean;
}

/** An agent's name, first message and prompt. */
export function AgentFields({ draft, onChange, error, promptRows, scripted = false }: AgentFieldsProps) {
  const at = (param: string) => (error?.param === param ? error.message : null);
  const elsewhere = error && !["name", "first_message", "system_prompt"].includes(error.param ?? "");
  return (
    <>
      <Field label="Name" error={at("name")}>
        {(props) => (
          <Input
            {...props}
            required
            maxLength={255}
            value={draft.name}
            onChange={(event) => onChange({ ...draft, name: event.target.value })}
            placeholder="Front desk"
          />
        )}
      </Field>
      <Field
        label="First message"
        optional
        error={at("first_message")}
        hint={
          <>
            Said as soon as the call stands. Left blank, the agent waits to be spoken to.{" "}
            <Code>{"{{name}}"}</Code> is filled from the call's variables.
          </>
        }
      >
        {(props) => (
          <Textarea
            {...props}
            rows={2}
            className="min-h-16"
            value={draft.first_message}
            onChange={(event) => onChange({ ...draft, first_message: event.target.value })}
            placeholder="Hello, you have reached the front desk. How can I help?"
          />
        )}
      </Field>
      {scripted ? (
        <p className="rounded-md bg-sunken px-4 py-3 text-ink-soft text-sm">
          This agent's replies are scripted, so it has no prompt. Make an agent of your own to write one.
        </p>
      ) : (
        <Field
          label="Prompt"
          optional
          error={at("system_prompt")}
          hint="Who the agent is and how it should speak. Short, spoken sentences work best."
        >
          {(props) => (
            <Textarea
              {...props}
              rows={promptRows}
              value={draft.system_prompt}
              onChange={(event) => onChange({ ...draft, system_prompt: event.target.value })}
              placeholder="You are the front desk of a small hotel. Answer in one or two short sentences."
            />
          )}
        </Field>
      )}
      {elsewhere && (
        <p role="alert" className="rounded-md bg-danger-wash px-3 py-2 text-danger text-sm">
          {error.message}
        </p>
      )}
    </>
  );
}
