import type { Problem } from "./talk-state";

/**
 * What keeps the microphone from being used here, found without opening it; null where nothing is known to. The browser's
 * own question is asked later, by the SDK.
 */
export async function microphoneProblem(): Promise<Problem | null> {
  if (!window.isSecureContext || !navigator.mediaDevices) {
    return { reason: "insecure_context", message: "This page was not opened over a secure address." };
  }
  try {
    const permission = await navigator.permissions.query({ name: "microphone" });
    if (permission.state === "denied") {
      return {
        reason: "microphone_denied",
        message: "The browser was told to keep the microphone from this page.",
      };
    }
  } catch {
    // Some browsers do not know the name "microphone" here: they will answer when it is opened.
  }
  return null;
}
