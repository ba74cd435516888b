import { MicOff, ShieldAlert, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { Code } from "@/components/code";
import type { Problem } from "./talk-state";

/** Why no call could be had, and what mends it. */
export function ProblemNotice({ problem }: { problem: Problem }) {
  const { icon, title, mend } = words(problem);
  return (
    <div role="alert" className="rounded-lg bg-danger-wash px-4 py-3.5 text-left text-sm">
      <p className="flex items-center gap-2 font-medium text-danger [&_svg]:size-4 [&_svg]:shrink-0">
        {icon}
        {title}
      </p>
      <div className="mt-1.5 flex flex-col gap-1.5 text-ink-soft">{mend}</div>
    </div>
  );
}

function words(problem: Problem): { icon: ReactNode; title: string; mend: ReactNode } {
  switch (problem.reason) {
    case "microphone_denied":
      return {
        icon: <MicOff />,
        title: "The microphone is blocked for this page",
        mend: (
          <p>
            Click the icon beside the address, allow the microphone, then press Talk again. On a Mac or on
            Windows, also see that the system lets the browser use it.
          </p>
        ),
      };
    case "microphone_not_found":
      return {
        icon: <MicOff />,
        title: "No microphone was found",
        mend: <p>Plug one in, or close the program that holds it, then press Talk again.</p>,
      };
    case "microphone_in_use":
      return {
        icon: <MicOff />,
        title: "Another program holds the microphone",
        mend: <p>Close it, then press Talk again.</p>,
      };
    case "microphone_silent":
      return {
        icon: <MicOff />,
        title: "Your microphone is silent",
        mend: (
          <p>
            Not even noise comes from it. Look for a switch on the headset, or choose another microphone in
            the browser's or the system's settings.
          </p>
        ),
      };
    case "insecure_context":
      return {
        icon: <ShieldAlert />,
        title: "Browsers give the microphone to secure pages only",
        mend: (
          <>
            <p>
              Open this page as <Code>{`http://localhost:${window.location.port || "80"}`}</Code> on the
              machine that runs the server, or put HTTPS before it.
            </p>
            <p>
              Or from here, through a tunnel, at <Code>http://localhost:8080</Code>:{" "}
              <Code>{`ssh -L 8080:127.0.0.1:${window.location.port || "80"} ${window.location.hostname}`}</Code>
            </p>
          </>
        ),
      };
    case "no_llm_configured":
    case "no_stt_configured":
    case "provider_not_available":
      return { icon: <TriangleAlert />, title: "This agent cannot talk yet", mend: <p>{problem.message}</p> };
    case "media_failed":
      return {
        icon: <TriangleAlert />,
        title: "No audio could flow",
        mend: (
          <>
            <p>{problem.message}</p>
            <p>The server's media port (7882, UDP or TCP) must be reachable from this browser.</p>
          </>
        ),
      };
    default:
      return {
        icon: <TriangleAlert />,
        title: "The call did not come about",
        mend: <p>{problem.message}</p>,
      };
  }
}
