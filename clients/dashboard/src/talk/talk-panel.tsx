import { ArrowRight, Mic, MicOff, Phone, PhoneOff, RotateCcw, Volume2 } from "lucide-react";
import { Link } from "wouter";
import { readiness } from "@/agents/providers";
import type { Agent } from "@/api/wire";
import { endWords } from "@/calls/end-reasons";
import { cn } from "@/cn";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { useNow } from "@/components/use-now";
import { clock } from "@/format/time";
import { Composer } from "./composer";
import { Dial } from "./dial";
import { LevelMeter } from "./level-meter";
import { ProblemNotice } from "./problem-notice";
import { ReadinessBanner, WaysToAModel } from "./readiness";
import { talkSession, useTalk } from "./talk-session";
import { IDLE, isRunning, type TalkState } from "./talk-state";
import { Transcript } from "./transcript";

const DIAL_PX = 288;

/** Where one talks with an agent: the button, the meters, what is said on both sides, and a box to type in. */
export function TalkPanel({ agent }: { agent: Agent }) {
  const talk = useTalk();
  const ready = readiness(agent);
  const mine = talk.agentId === agent.id;
  const state = mine ? talk : IDLE;

  if (ready.kind === "missing") return <WaysToAModel stage={ready.stage} />;
  return (
    <Card className="flex flex-col overflow-hidden lg:h-[clamp(580px,calc(100dvh-17.5rem),800px)]">
      <ReadinessBanner readiness={ready} />
      <div className="grid min-h-0 flex-1 lg:grid-cols-[376px_1fr] lg:grid-rows-[minmax(0,1fr)]">
        <div className="flex bg-ground/70 px-6 py-8 lg:overflow-y-auto lg:border-r">
          <div className="m-auto flex flex-col items-center gap-6">
            {!mine && isRunning(talk) ? <OtherCall talk={talk} /> : <Stage agent={agent} state={state} />}
          </div>
        </div>
        <div className="flex h-[520px] min-h-0 min-w-0 flex-col border-t lg:h-auto lg:border-t-0">
          <Transcript
            lines={state.lines}
            agentName={agent.name}
            empty={<NothingSaid agent={agent} running={isRunning(state)} />}
          />
          <EndNote state={state} />
          <Composer active={state.phase === "active"} suggestions={state.suggestions} />
        </div>
      </div>
    </Card>
  );
}

function Stage({ agent, state }: { agent: Agent; state: TalkState }) {
  const running = isRunning(state);
  return (
    <>
      <div className="relative grid size-[288px] place-items-center">
        <Dial phase={state.phase} size={DIAL_PX} />
        {running ? (
          <Speaking state={state} />
        ) : (
          <button
            type="button"
            onClick={() => void talkSession.start(agent)}
            className="group relative grid size-44 place-items-center rounded-full bg-accent text-on-accent shadow-high transition-transform hover:scale-[1.025] hover:bg-accent-deep focus-visible:outline-offset-4 active:scale-[0.985]"
          >
            <span className="flex flex-col items-center gap-2">
              <Mic className="size-9 transition-transform group-hover:-translate-y-0.5" strokeWidth={1.75} />
              <span className="font-display font-semibold text-2xl tracking-tight">
                {state.callId === null ? "Talk" : "Talk again"}
              </span>
            </span>
          </button>
        )}
      </div>
      {running ? <Controls state={state} /> : <BeforeTalking agent={agent} state={state} />}
    </>
  );
}

const AGENT_STATES: Record<string, string> = {
  initializing: "Getting ready",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
};

function Speaking({ state }: { state: TalkState }) {
  const now = useNow(state.phase === "active" ? 500 : 0);
  const seconds = state.activeAtMs === null ? 0 : (now - state.activeAtMs) / 1000;
  const doing =
    state.phase !== "active"
      ? phaseWords(state.phase)
      : state.reconnecting
        ? "Reconnecting"
        : (AGENT_STATES[state.agentState ?? ""] ?? "Connected");
  return (
    <div className="relative grid size-44 place-items-center rounded-full border bg-surface shadow-lift">
      <div className="flex flex-col items-center">
        <span role="status" className="font-display font-semibold text-xl tracking-tight">
          {doing}
        </span>
        <span role="timer" className="mt-1 text-ink-faint text-sm tabular-nums">
          {state.phase === "active" ? clock(seconds) : "one moment"}
        </span>
      </div>
    </div>
  );
}

function phaseWords(phase: TalkState["phase"]): string {
  return phase === "preparing" ? "Calling" : "Connecting";
}

function Controls({ state }: { state: TalkState }) {
  const active = state.phase === "active";
  return (
    <div className="flex w-full max-w-[288px] flex-col gap-5">
      {state.audioBlocked && (
        <Button look="outline" onClick={() => void talkSession.startAudio()}>
          <Volume2 /> Let the agent be heard
        </Button>
      )}
      <div className="flex flex-col gap-2">
        <LevelMeter side="user" label="You" running={active && !state.muted} />
        <LevelMeter side="agent" label="Agent" running={active} />
      </div>
      <div className="flex justify-center gap-2">
        <Button
          look="outline"
          size="lg"
          className={cn("flex-1 px-4", state.muted && "border-caller bg-caller-wash text-caller-ink")}
          disabled={!active}
          onClick={() => void talkSession.setMuted(!state.muted)}
        >
          {state.muted ? <MicOff /> : <Mic />}
          {state.muted ? "Unmute" : "Mute"}
        </Button>
        <Button look="danger" size="lg" className="flex-1 px-4" onClick={() => void talkSession.hangUp()}>
          <PhoneOff /> Hang up
        </Button>
      </div>
      {state.problem && <ProblemNotice problem={state.problem} />}
    </div>
  );
}

function BeforeTalking({ agent, state }: { agent: Agent; state: TalkState }) {
  return (
    <div className="w-full max-w-[304px] text-center text-sm">
      {state.phase === "failed" && state.problem ? (
        <ProblemNotice problem={state.problem} />
      ) : (
        <p className="text-ink-soft">
          Press, then speak as you would on the phone. You may interrupt: {agent.name} stops and listens.
        </p>
      )}
    </div>
  );
}

function OtherCall({ talk }: { talk: TalkState }) {
  return (
    <div className="flex flex-col items-center gap-3 text-center">
      <Phone className="size-8 text-agent" />
      <p className="text-ink-soft">You are talking with {talk.agentName}.</p>
      <Button asChild look="outline">
        <Link href={`/agents/${talk.agentId}`}>
          Back to that call <ArrowRight />
        </Link>
      </Button>
    </div>
  );
}

function NothingSaid({ agent, running }: { agent: Agent; running: boolean }) {
  return (
    <div className="flex max-w-sm flex-col items-center gap-4 text-center">
      <p className="text-ink-faint">
        {running
          ? "Both sides appear here as they are heard."
          : "What is said appears here, on both sides, word by word."}
      </p>
      {!running && agent.first_message && (
        <blockquote className="rounded-lg rounded-tl-sm border border-agent/30 border-dashed px-4 py-3 text-left text-ink-soft">
          <span className="mb-1 block font-medium text-agent-ink text-xs">{agent.name} begins with</span>
          {agent.first_message}
        </blockquote>
      )}
    </div>
  );
}

function EndNote({ state }: { state: TalkState }) {
  if ((state.phase !== "ended" && state.phase !== "failed") || state.callId === null) return null;
  const seconds =
    state.activeAtMs === null || state.endedAtMs === null
      ? null
      : (state.endedAtMs - state.activeAtMs) / 1000;
  return (
    <div className="mx-5 mb-4 flex flex-wrap items-center gap-x-4 gap-y-2 rounded-lg bg-sunken px-4 py-3 text-sm sm:mx-8">
      <p className="flex-1 basis-40">
        <span className="font-medium">{endLabel(state)}</span>
        {seconds !== null && <span className="text-ink-faint tabular-nums"> · {clock(seconds)}</span>}
      </p>
      <Link
        href={`/calls/${state.callId}`}
        className="inline-flex items-center gap-1.5 font-medium text-accent underline-offset-4 hover:underline"
      >
        See this call's record <ArrowRight className="size-4" />
      </Link>
      <Button look="quiet" size="sm" onClick={() => talkSession.reset()}>
        <RotateCcw /> Clear
      </Button>
    </div>
  );
}

function endLabel({ endReason, phase }: TalkState): string {
  if (endReason === "user_hangup") return "You hung up";
  if (endReason) return endWords(endReason).label;
  return phase === "failed" ? "The call failed" : "The call has ended";
}
