import { CopyButton } from "./copy-button";

/** Lines of code to copy. */
export function Snippet({ code, label }: { code: string; label: string }) {
  return (
    <div className="relative rounded-lg border bg-sunken">
      <CopyButton text={code} label={label} className="absolute top-2.5 right-2.5 bg-sunken" />
      <pre
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
        tabIndex={0}
        className="overflow-x-auto rounded-lg p-4 pr-12 font-mono text-[13px] leading-relaxed"
      >
        <code>{code}</code>
      </pre>
    </div>
  );
}
