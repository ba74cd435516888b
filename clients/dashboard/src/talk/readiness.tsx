import { Info, KeyRound, Server, Sparkles } from "lucide-react";
import type { ReactNode } from "react";
import { Link } from "wouter";
import type { Readiness } from "@/agents/providers";
import type { Stage } from "@/api/wire";
import { Code } from "@/components/code";
import { Card } from "@/components/ui/card";

/** Says plainly when what answers is the demo. */
export function ReadinessBanner({ readiness }: { readiness: Readiness }) {
  if (readiness.kind === "demo") {
    return (
      <Banner title="Demo voice and scripted replies: no AI model is running">
        For a real one, start the server with <Code>OPENAI_API_KEY</Code> set, or give it the address of a
        local OpenAI-compatible server with <Code>ONEINBOX_LLM_BASE_URL</Code>; then make an agent of your
        own.
      </Banner>
    );
  }
  if (readiness.kind === "demo_voice") {
    return (
      <Banner title="Demo voice: the replies are real, the voice is a plain synthesiser">
        Set <Code>OPENAI_API_KEY</Code>, or <Code>ONEINBOX_TTS_BASE_URL</Code> to a local speech server, for a
        natural one.
      </Banner>
    );
  }
  return null;
}

function Banner({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div role="note" className="flex gap-3 border-b bg-notice-wash px-5 py-3.5 text-sm sm:px-6">
      <Info className="mt-0.5 size-4 shrink-0 text-notice" />
      <p>
        <strong className="font-semibold">{title}.</strong> <span className="text-ink-soft">{children}</span>
      </p>
    </div>
  );
}

const MISSING: Record<Stage, { title: string; lead: string; variable: string }> = {
  llm: {
    title: "This agent has nothing to think with yet",
    lead: "No language model is configured, so there is nobody to talk to. There are three ways on.",
    variable: "ONEINBOX_LLM_BASE_URL",
  },
  stt: {
    title: "This agent cannot hear yet",
    lead: "No speech-to-text is configured. There are three ways on.",
    variable: "ONEINBOX_STT_BASE_URL",
  },
  tts: {
    title: "This agent has no voice yet",
    lead: "No text-to-speech is configured. There are three ways on.",
    variable: "ONEINBOX_TTS_BASE_URL",
  },
};

/** Stands in the place of the Talk panel where a stage has no provider: the three ways out. */
export function WaysToAModel({ stage }: { stage: Stage }) {
  const { title, lead, variable } = MISSING[stage];
  return (
    <Card className="px-6 py-10 sm:px-10">
      <h2 className="text-2xl">{title}</h2>
      <p className="mt-2 max-w-xl text-ink-soft">{lead}</p>
      <ol className="mt-8 grid gap-4 md:grid-cols-3">
        <Way icon={<KeyRound />} title="A key in the environment">
          Stop the server, set <Code>OPENAI_API_KEY</Code>, start it again: hearing, thinking and speaking are
          all served by it.
        </Way>
        <Way icon={<Server />} title="A model on your own machine">
          Ollama, llama.cpp, vLLM, LM Studio: set <Code>{variable}</Code> to its address, such as{" "}
          <Code>http://127.0.0.1:11434/v1</Code>.
        </Way>
        <Way icon={<Sparkles />} title="The demo desk">
          Needs no key and no model: its replies are scripted.{" "}
          <Link href="/agents" className="font-medium text-accent underline underline-offset-4">
            Talk to it from the list of agents
          </Link>
          .
        </Way>
      </ol>
    </Card>
  );
}

function Way({ icon, title, children }: { icon: ReactNode; title: string; children: ReactNode }) {
  return (
    <li className="rounded-lg border bg-ground p-5">
      <span className="mb-4 grid size-10 place-items-center rounded-full bg-accent-wash text-accent [&_svg]:size-5">
        {icon}
      </span>
      <h3 className="text-base">{title}</h3>
      <p className="mt-1.5 text-ink-soft text-sm">{children}</p>
    </li>
  );
}
