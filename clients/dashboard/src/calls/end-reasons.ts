interface EndWords {
  label: string;
  meaning: string;
}

const WORDS: Record<string, EndWords> = {
  user_hangup: { label: "Caller hung up", meaning: "The caller left the call." },
  user_disconnected: {
    label: "Connection lost",
    meaning: "The caller's connection was lost and did not come back.",
  },
  user_never_joined: { label: "Never joined", meaning: "Nobody used the call's token in time." },
  end_call_phrase: { label: "Said goodbye", meaning: "The caller said one of the agent's end phrases." },
  silence_timeout: { label: "Silence", meaning: "Nobody said anything for the agent's silence timeout." },
  agent_hangup: { label: "Agent hung up", meaning: "The agent ended the call itself." },
  api_stop: { label: "Stopped", meaning: "The call was stopped through the API or this page." },
  max_duration: { label: "Time limit", meaning: "The call reached the agent's longest duration." },
  budget_exhausted: {
    label: "Minutes used up",
    meaning: "The publishable key's minutes of the day were used up by all of its calls together.",
  },
  stt_failed: {
    label: "Speech-to-text failed",
    meaning: "The speech-to-text provider failed: check its key and address.",
  },
  llm_failed: {
    label: "Model failed",
    meaning: "The language model's provider failed: check its key and address.",
  },
  tts_failed: {
    label: "Voice failed",
    meaning: "The text-to-speech provider failed: check its key and address.",
  },
  media_failed: {
    label: "No audio path",
    meaning: "The browser joined, but no audio could flow: check that the server's media port is open.",
  },
  worker_lost: {
    label: "Worker lost",
    meaning: "The process that held the call died. Other calls were not touched.",
  },
  server_lost: {
    label: "Server lost",
    meaning: "The whole server died during the call; found by another server, or at its next start.",
  },
  server_shutdown: { label: "Server shut down", meaning: "The server was stopped during the call." },
  internal_error: {
    label: "Internal error",
    meaning: "A fault of OneInbox itself: its log has the details.",
  },
};

/** An end reason in words; one that this page does not know is shown as it is. */
export function endWords(reason: string): EndWords {
  const known = WORDS[reason.toLowerCase()];
  if (known) return known;
  const plain = reason.toLowerCase().replaceAll("_", " ");
  return { label: plain.charAt(0).toUpperCase() + plain.slice(1), meaning: "" };
}
