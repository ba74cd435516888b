/**
 * Completes `package-lock.json` after `npm install`: `node build/complete-lock.mjs [folder]`.
 *
 * Native tools (Biome, Tailwind) come as one optional package for each platform, and `npm ci` refuses a lock that leaves one
 * of them out, on every platform. A registry mirror that holds only some platforms makes npm write such a lock. This adds
 * what is missing, by the names of the packages: the exact version that its parent asks for, and the platform. No integrity
 * can be given for a package that was never seen; npm then takes the registry's own.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const SYSTEMS = [
  "aix",
  "android",
  "darwin",
  "freebsd",
  "linux",
  "netbsd",
  "openbsd",
  "openharmony",
  "sunos",
  "win32",
];
const PROCESSORS = [
  "arm",
  "arm64",
  "ia32",
  "loong64",
  "mips64el",
  "ppc64",
  "riscv64",
  "s390x",
  "wasm32",
  "x64",
];
const LIBRARIES = new Map([
  ["gnu", "glibc"],
  ["musl", "musl"],
]);

/** What a package's name says of its platform: `oxide-linux-x64-musl` is Linux, x64, musl. */
function platformOf(name) {
  const words = name.split(/[/-]/);
  const system = words.find((word) => SYSTEMS.includes(word));
  const processor = words.find((word) => PROCESSORS.includes(word));
  if (!processor) throw new Error(`${name}: its name does not say for which platform it is`);
  const library = system === "linux" ? words.map((word) => LIBRARIES.get(word)).find(Boolean) : undefined;
  return {
    cpu: [processor],
    ...(library ? { libc: [library] } : {}),
    ...(system ? { os: [system] } : {}),
  };
}

const path = join(process.argv[2] ?? ".", "package-lock.json");
const lock = JSON.parse(readFileSync(path, "utf8"));
let added = 0;
for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const place = `node_modules/${name}`;
    if (lock.packages[place]) continue;
    if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
      throw new Error(`${name}: ${version} is not an exact version`);
    lock.packages[place] = {
      version,
      ...platformOf(name),
      ...(parent.dev ? { dev: true } : {}),
      optional: true,
    };
    added += 1;
  }
}
lock.packages = Object.fromEntries(
  Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en")),
);
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`${path}: ${added} platform packages added\n`);
