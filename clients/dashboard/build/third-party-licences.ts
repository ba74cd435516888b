import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Plugin } from "vite";

/** Whose files come through the style sheet, where the bundler does not name them. */
const STYLED = [
  "@fontsource-variable/bricolage-grotesque",
  "@fontsource-variable/instrument-sans",
  "@fontsource-variable/jetbrains-mono",
  "tailwindcss",
];

/** Puts `third-party-licences.txt` beside the pages: the terms of everything that was bundled into them, as they ask for. */
export function thirdPartyLicences(root: string): Plugin {
  return {
    name: "third-party-licences",
    apply: "build",
    generateBundle(_options, bundle) {
      const packages = new Set(STYLED.map((name) => join(root, "node_modules", name)));
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== "chunk") continue;
        for (const id of chunk.moduleIds) {
          const found = packageOf(id);
          if (found) packages.add(found);
        }
      }
      const texts = [...packages].sort().map((folder) => licenceOf(folder));
      this.emitFile({
        type: "asset",
        fileName: "third-party-licences.txt",
        source: texts.join(`\n${"-".repeat(80)}\n\n`),
      });
    },
  };
}

/** The folder of the installed package that a module belongs to; null for our own. */
function packageOf(id: string): string | null {
  const clean = id.replace(/^\0/, "").replace(/\?.*$/, "");
  // The Web SDK is linked from beside us; what it bundles has its terms in a file of its own.
  if (!clean.includes("/node_modules/") && !clean.includes("/web-sdk/dist/")) return null;
  for (let folder = dirname(clean); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, "utf8")).name) return folder;
  }
  return null;
}

/** Throws where a package says nothing about its terms: it must not be shipped unseen. */
function licenceOf(folder: string): string {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const texts = [folder, join(folder, "dist")]
    .filter((place) => existsSync(place))
    .flatMap((place) =>
      readdirSync(place)
        .filter((name) => /^(licen[cs]es?|notice|ofl)(\.|$)/i.test(name))
        .map((name) => readFileSync(join(place, name), "utf8").trim()),
    );
  if (!manifest.license && texts.length === 0) throw new Error(`${manifest.name} names no licence`);
  return `${manifest.name} ${manifest.version} (${manifest.license})\n\n${texts.join("\n\n")}\n`;
}
