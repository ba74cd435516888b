// Changes livekit-client as it is bundled. Its first offer asks for three voices and three pictures, whoever joins; a call
// has one voice. Each section costs the browser a millisecond or two wherever an offer or an answer is read or written, and
// the spare ones are more than half of what is sent in the address of the join. A server with more to hear asks for more.
import { readFile } from "node:fs/promises";

const CHANGES = [
  ["const initialMediaSectionsAudio = 3;", "const initialMediaSectionsAudio = 1;"],
  ["const initialMediaSectionsVideo = 3;", "const initialMediaSectionsVideo = 0;"],
];

/** What the licence asks for: that files which were changed say so (Apache-2.0, 4b). */
export const NOTICE =
  "Changed by OneInbox: the first offer asks for one audio section and no video sections.";

/** @type {import("esbuild").Plugin} */
export const voiceOnly = {
  name: "voice-only",
  setup(build) {
    build.onLoad({ filter: /livekit-client\.esm\.mjs$/ }, async ({ path }) => {
      let contents = await readFile(path, "utf8");
      for (const [before, after] of CHANGES) {
        if (contents.split(before).length !== 2) throw new Error(`livekit-client has no single "${before}"`);
        contents = contents.replace(before, after);
      }
      return { contents, loader: "js" };
    });
  },
};
