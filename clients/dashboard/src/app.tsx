import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { CircleHelp } from "lucide-react";
import { lazy, Suspense } from "react";
import { Redirect, Route, Switch } from "wouter";
import { navigate } from "wouter/use-browser-location";
import { AgentsPage } from "./agents/agents-page";
import { ApiError } from "./api/http";
import { Empty, Page } from "./components/page";
import { Toaster } from "./components/ui/toast";
import { TooltipProvider } from "./components/ui/tooltip";
import { keepReturnPath } from "./session/return-path";
import { SignInPage } from "./session/sign-in-page";
import { Shell } from "./shell/shell";

const AgentPage = lazy(() => import("./agents/agent-page").then((m) => ({ default: m.AgentPage })));
const CallsPage = lazy(() => import("./calls/calls-page").then((m) => ({ default: m.CallsPage })));
const CallPage = lazy(() => import("./calls/call-page").then((m) => ({ default: m.CallPage })));
const KeysPage = lazy(() => import("./keys/keys-page").then((m) => ({ default: m.KeysPage })));

/** A session that ran out, wherever it is noticed, leads to the sign-in and from there back to where one was. */
function leaveIfSignedOut(error: Error): void {
  if (!(error instanceof ApiError) || error.status !== 401 || window.location.pathname === "/sign-in") return;
  keepReturnPath(window.location.pathname + window.location.search);
  navigate("/sign-in", { replace: true });
}

const queries = new QueryClient({
  queryCache: new QueryCache({ onError: leaveIfSignedOut }),
  mutationCache: new MutationCache({ onError: leaveIfSignedOut }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // What the server refused it will refuse again; only a lost connection or a fault of the server is tried once more.
      retry: (count, error) =>
        count < 1 && error instanceof ApiError && (error.status === 0 || error.status >= 500),
    },
  },
});

export function App() {
  return (
    <QueryClientProvider client={queries}>
      <TooltipProvider delayDuration={250}>
        <Switch>
          <Route path="/sign-in" component={SignInPage} />
          <Route>
            <Shell>
              <Suspense fallback={null}>
                <Switch>
                  <Route path="/">
                    <Redirect to="/agents" replace />
                  </Route>
                  <Route path="/agents" component={AgentsPage} />
                  <Route path="/agents/:id" component={AgentPage} />
                  <Route path="/calls" component={CallsPage} />
                  <Route path="/calls/:id" component={CallPage} />
                  <Route path="/keys" component={KeysPage} />
                  <Route>
                    <Page title="Not here">
                      <Empty icon={CircleHelp} title="There is no such page">
                        The address may have been mistyped, or what it named may be gone.
                      </Empty>
                    </Page>
                  </Route>
                </Switch>
              </Suspense>
            </Shell>
          </Route>
        </Switch>
        <Toaster />
      </TooltipProvider>
    </QueryClientProvider>
  );
}
