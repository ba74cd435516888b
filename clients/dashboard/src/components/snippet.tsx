import { CopyButton } from "./copy-button";

/** Lines of code to copy. */
export function Snippet({ code, label }: { code: string; label: string }) {
  return (
    <div className="flex rounded-lg border bg-sunken">
      <pre
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
        tabIndex={0}
        className="min-w-0 flex-1 overflow-x-auto rounded-l-lg py-4 pl-4 font-mono text-[13px] leading-relaxed"
      >
        <code>{code}</code>
      </pre>
      <CopyButton text={code} label={label} className="m-2.5 hover:bg-ground" />
    </div>
  );
}
