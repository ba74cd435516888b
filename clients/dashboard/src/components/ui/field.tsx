import { Label } from "radix-ui";
import { type ReactNode, useId } from "react";

interface FieldProps {
  label: string;
  hint?: ReactNode;
  error?: string | null | undefined;
  optional?: boolean;
  children: (props: { id: string; "aria-describedby"?: string; "aria-invalid"?: true }) => ReactNode;
}

/** A labelled form field; hint and error are tied to the control for screen readers. */
export function Field({ label, hint, error, optional = false, children }: FieldProps) {
  const id = useId();
  const noteId = `${id}-note`;
  const hasNote = Boolean(error) || Boolean(hint);
  return (
    <div className="flex flex-col gap-1.5">
      <Label.Root htmlFor={id} className="flex items-baseline gap-2 text-sm font-medium">
        {label}
        {optional && <span className="text-xs font-normal text-ink-faint">optional</span>}
      </Label.Root>
      {children({
        id,
        ...(hasNote ? { "aria-describedby": noteId } : {}),
        ...(error ? { "aria-invalid": true as const } : {}),
      })}
      {hasNote && (
        <p id={noteId} className={error ? "text-[13px] text-danger" : "text-[13px] text-ink-faint"}>
          {error ?? hint}
        </p>
      )}
    </div>
  );
}
