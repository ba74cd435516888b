import { ArrowUp } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Button } from "@/components/ui/button";
import { talkSession } from "./talk-session";

interface ComposerProps {
  active: boolean;
  suggestions: readonly string[];
}

/** What can be said without speaking: the agent's own suggestions as chips, and a box to type in. */
export function Composer({ active, suggestions }: ComposerProps) {
  const [text, setText] = useState("");

  function send(event: FormEvent) {
    event.preventDefault();
    if (text.trim() === "") return;
    void talkSession.sendText(text);
    setText("");
  }

  return (
    <div className="border-t px-5 py-4 sm:px-8">
      {suggestions.length > 0 && (
        <fieldset className="mb-3 flex flex-wrap items-center gap-2">
          <legend className="sr-only">Things you can say: speak them, or click</legend>
          <span aria-hidden className="mr-1 text-[13px] text-ink-faint">
            Say or click
          </span>
          {suggestions.map((phrase) => (
            <button
              key={phrase}
              type="button"
              onClick={() => void talkSession.sendText(phrase)}
              className="rounded-full border border-caller/50 bg-caller-wash px-3 py-1 text-caller-ink text-sm transition-colors hover:border-caller"
            >
              {phrase}
            </button>
          ))}
        </fieldset>
      )}
      <form
        onSubmit={send}
        className="flex items-center gap-2 rounded-lg border border-line-strong bg-raised p-1 pl-4 focus-within:border-accent"
      >
        <input
          value={text}
          onChange={(event) => setText(event.target.value)}
          disabled={!active}
          maxLength={2000}
          aria-label="Type instead of speaking"
          placeholder={active ? "Type instead of speaking" : "Start a call to type"}
          className="h-9 min-w-0 flex-1 bg-transparent placeholder:text-ink-faint focus:outline-none disabled:opacity-60"
        />
        <Button type="submit" size="icon-sm" aria-label="Send" disabled={!active || text.trim() === ""}>
          <ArrowUp />
        </Button>
      </form>
    </div>
  );
}
