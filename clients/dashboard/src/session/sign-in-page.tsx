import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { useLocation } from "wouter";
import { ApiError } from "@/api/http";
import { fetchMe, signInWithLink } from "@/api/session";
import { Code } from "@/components/code";
import { Mark } from "@/components/mark";
import { Snippet } from "@/components/snippet";
import { Button } from "@/components/ui/button";
import { takeReturnPath } from "./return-path";

type Step =
  | { at: "signing_in" }
  | { at: "no_link" }
  | { at: "refused"; why: string }
  | { at: "unreachable"; why: string };

// The token is taken out of the address as soon as this module is loaded with the page: before anything is drawn, and once
// only, however often React mounts the page. It is then neither in the address bar, nor in the history, nor in a referrer.
let token: string | null = takeToken();

function takeToken(): string | null {
  const url = new URL(window.location.href);
  if (url.pathname !== "/sign-in") return null;
  const found = url.searchParams.get("token");
  if (found === null) return null;
  url.searchParams.delete("token");
  window.history.replaceState(null, "", url);
  return found;
}

async function enter(): Promise<Step | null> {
  const link = token;
  token = null;
  if (link === null) return (await signedIn()) ? null : { at: "no_link" };
  try {
    await signInWithLink(link);
    return null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 0 || error.status >= 500) {
      token = link; // not used up: it may be tried again
      return { at: "unreachable", why: error.message };
    }
    // A used link opened again by somebody who is signed in already is no trouble at all.
    return (await signedIn()) ? null : { at: "refused", why: error.message };
  }
}

async function signedIn(): Promise<boolean> {
  try {
    await fetchMe();
    return true;
  } catch {
    return false;
  }
}

let entering: Promise<Step | null> | null = null;

export function SignInPage() {
  const [step, setStep] = useState<Step>({ at: "signing_in" });
  const [, navigate] = useLocation();
  const queries = useQueryClient();

  useEffect(() => {
    document.title = "Sign in · OneInbox";
    if (step.at !== "signing_in") return;
    let shown = true;
    entering ??= enter().finally(() => {
      entering = null;
    });
    void entering.then((next) => {
      if (!shown) return;
      if (next) return setStep(next);
      queries.clear();
      navigate(takeReturnPath(), { replace: true });
    });
    return () => {
      shown = false;
    };
  }, [step, navigate, queries]);

  return (
    <main className="grid min-h-dvh place-items-center px-5 py-12">
      <div className="w-full max-w-md animate-rise">
        <div className="mb-10 flex items-center gap-3">
          <Mark className="size-10" />
          <span className="font-display font-semibold text-2xl tracking-tight">OneInbox</span>
        </div>
        {step.at === "signing_in" && <Words title="Signing you in">One moment.</Words>}
        {step.at === "no_link" && (
          <Words title="Sign in with a link">
            <p>
              There is no password. The server prints a link when it starts (<Code>oneinbox up</Code>), which
              signs you in once; open it in this browser. For a new one, on the server's machine:
            </p>
            <NewLink />
          </Words>
        )}
        {step.at === "refused" && (
          <Words title="This link no longer works">
            <p>
              Each link works once and for a short time; this one was used or has run out. For a new one, on
              the server's machine:
            </p>
            <NewLink />
            <p className="text-ink-faint text-sm">{step.why}</p>
          </Words>
        )}
        {step.at === "unreachable" && (
          <Words title="The server did not answer">
            <p>{step.why}</p>
            <Button onClick={() => setStep({ at: "signing_in" })}>Try again</Button>
          </Words>
        )}
      </div>
    </main>
  );
}

function Words({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div role="status">
      <h1 className="text-[34px]">{title}</h1>
      <div className="mt-3 flex flex-col items-start gap-4 text-ink-soft [&>div]:w-full">{children}</div>
    </div>
  );
}

function NewLink() {
  return (
    <>
      <Snippet code="oneinbox sign-in" label="Copy the command" />
      <p>
        In a checkout that is <Code>.venv/bin/oneinbox sign-in</Code>. If it does not help,{" "}
        <Code>oneinbox doctor</Code> explains.
      </p>
    </>
  );
}
