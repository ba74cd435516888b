import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { thirdPartyLicences } from "./build/third-party-licences.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/**
 * `vite build` makes what the server ships. `vite --mode mock` is for working on the looks: it talks to `mock/api.ts` and
 * swaps the Web SDK for a call that plays itself, so neither ever reaches `dist/`.
 */
export default defineConfig(({ mode }) => {
  const api = process.env.ONEINBOX_API ?? "http://127.0.0.1:8080";
  return {
    plugins: [react(), tailwindcss(), thirdPartyLicences(here("."))],
    resolve: {
      alias: {
        "@": here("./src"),
        ...(mode === "mock" ? { "@oneinbox/web-sdk": here("./mock/sdk.ts") } : {}),
      },
    },
    build: {
      target: "es2022",
      // Fonts stay files: a content security policy need not allow `data:` for them.
      assetsInlineLimit: 0,
      outDir: mode === "mock" ? "node_modules/.mock-dist" : "dist",
      modulePreload: { polyfill: false },
      chunkSizeWarningLimit: 700,
    },
    server: {
      host: "127.0.0.1",
      proxy: { "/v1": { target: api, ws: true }, "/rtc": { target: api, ws: true }, "/sdk": api },
    },
    test: { include: ["test/**/*.test.ts"], environment: "node" },
  };
});
