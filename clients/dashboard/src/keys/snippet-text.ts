/** The lines to paste into a page, for a key and an agent; both may be placeholders. */
export function embedSnippet(server: string, key: string, agentId: string): string {
  return `<script src="${server}/sdk/web-sdk.global.js"></script>
<button id="talk">Talk to us</button>
<script>
  const oi = new OneInboxSDK.OneInbox("${key}", { baseUrl: "${server}" });
  document.getElementById("talk").onclick = () => oi.start("${agentId}");
</script>`;
}

export const KEY_PLACEHOLDER = "oi_pk_…";
export const AGENT_PLACEHOLDER = "agt_…";
