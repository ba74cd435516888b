// Builds dist/: the ES module, the classic script with a global, the CommonJS file, the types, and the licences of
// what is bundled.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { NOTICE, voiceOnly } from "./voice-only.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");
const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** @type {import("esbuild").BuildOptions} */
const shared = {
  absWorkingDir: root,
  entryPoints: ["src/index.ts"],
  bundle: true,
  minify: true,
  target: ["es2022"],
  platform: "browser",
  legalComments: "none", // LICENSES.txt has them all
  banner: { js: `/*! ${name} ${version} | Apache-2.0 | bundled: see LICENSES.txt */` },
  metafile: true,
  plugins: [voiceOnly],
  logLevel: "warning",
};

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
const [module] = await Promise.all([
  build({ ...shared, format: "esm", outfile: "dist/web-sdk.js" }),
  // these two formats have no import.meta; the classic script knows where it came from by document.currentScript
  build({
    ...shared,
    format: "iife",
    globalName: "OneInboxSDK",
    outfile: "dist/web-sdk.global.js",
    define: { "import.meta": "undefined" },
  }),
  build({ ...shared, format: "cjs", outfile: "dist/web-sdk.cjs", define: { "import.meta": "undefined" } }),
]);
const typescript = join(root, "node_modules", "typescript", "bin", "tsc");
execFileSync(process.execPath, [typescript, "-p", "tsconfig.types.json"], { cwd: root, stdio: "inherit" });
keepPublicTypes();
writeFileSync(join(dist, "LICENSES.txt"), licences(Object.keys(module.metafile.inputs)));

/** Drop the declarations that the public ones do not need: they name packages that a user of ours does not have. */
function keepPublicTypes() {
  const needed = new Set(["index.d.ts"]);
  for (const file of needed) {
    const text = readFileSync(join(dist, file), "utf8");
    for (const [, from] of text.matchAll(/from "([^"]+)"/g)) {
      if (!from.startsWith("./")) throw new Error(`${file} names another package: ${from}`);
      needed.add(from.slice(2).replace(/\.js$/, ".d.ts"));
    }
  }
  for (const file of readdirSync(dist)) {
    if (file.endsWith(".d.ts") && !needed.has(file)) rmSync(join(dist, file));
  }
}

/** Return the licence texts of every package that a file of `inputs` comes from. */
function licences(inputs) {
  const folders = new Set();
  for (const input of inputs) {
    const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input.replaceAll("\\", "/"));
    if (found) folders.add(join(root, found[1]));
  }
  // livekit-client comes bundled itself: what it names as dependencies is inside it
  for (const folder of [...folders]) addDependencies(folder, folders);
  return [...folders]
    .sort()
    .map((folder) => {
      const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice)/i.test(file));
      const texts = files.map((file) => readFileSync(join(folder, file), "utf8").trim());
      const changed = about.name === "livekit-client" ? `\n${NOTICE}\n` : "";
      return `${about.name} ${about.version} (${about.license})\n${changed}\n${texts.join("\n\n")}\n`;
    })
    .join(`\n${"-".repeat(80)}\n\n`);
}

function addDependencies(folder, folders) {
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  for (const dependency of Object.keys(about.dependencies ?? {})) {
    const at = join(root, "node_modules", dependency);
    if (!existsSync(at) || folders.has(at)) continue;
    folders.add(at);
    addDependencies(at, folders);
  }
}

console.log(`built ${readdirSync(dist).length} files in ${relative(process.cwd(), dist) || "."}`);
