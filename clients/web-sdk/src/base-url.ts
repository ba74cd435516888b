/** Where this script was loaded from, as far as the module system tells. Must be read while the script first runs. */
const scriptUrl: string | undefined =
  // a classic script knows itself by the document, a module by its own metadata
  (typeof document === "undefined" ? undefined : (document.currentScript as HTMLScriptElement | null)?.src) ||
  (import.meta as { url?: string } | undefined)?.url;

/**
 * Return the server's address: where this script came from if a OneInbox server served it (`<base>/sdk/web-sdk...`),
 * else the page's own origin. Undefined where there is neither.
 */
export function defaultBaseUrl(script = scriptUrl, page = globalThis.location?.origin): string | undefined {
  const served = /^(https?:\/\/.+)\/sdk\/web-sdk(?:\.global)?\.js(?:[?#].*)?$/.exec(script ?? "");
  if (served) return served[1];
  return page?.startsWith("http") ? page : undefined;
}
