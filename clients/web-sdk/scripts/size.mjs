// Fails when what a page has to load grows past its limit. Most of it is livekit-client.
import { existsSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT_KB = 165;

if (!existsSync(new URL("../dist/web-sdk.js", import.meta.url))) {
  console.error("there is nothing to measure yet: npm run build");
  process.exit(1);
}
let failed = false;
for (const file of ["web-sdk.js", "web-sdk.global.js"]) {
  const bytes = readFileSync(new URL(`../dist/${file}`, import.meta.url));
  const kb = gzipSync(bytes, { level: 9 }).length / 1000;
  const verdict = kb > LIMIT_KB ? "TOO LARGE" : "ok";
  failed ||= kb > LIMIT_KB;
  console.log(
    `${file}: ${kb.toFixed(1)} kB gzipped (${(bytes.length / 1000).toFixed(0)} kB), limit ${LIMIT_KB}: ${verdict}`,
  );
}
process.exitCode = failed ? 1 : 0;
