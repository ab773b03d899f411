// Writes the API reference to docs/api/ from the docstrings: `npm run docs`. Fails where an exported name has none.
// TypeDoc needs another TypeScript than the project's, so both run from npm's cache, in versions that are known to work.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { npm } from "./npm.js";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const PACKAGES = ["typedoc@0.28.20", "typescript@6.0.3"];
const MUST_HAVE_DOCSTRINGS = ["Class", "Enum", "Function", "Interface", "TypeAlias", "Variable"];

const options = [
  ["--entryPoints", "src/index.ts"],
  ["--tsconfig", "tsconfig.json"],
  ["--out", "docs/api"],
  ["--name", "verydeep"],
  ["--readme", "README.md"],
  ["--excludePrivate"],
  // Types that signatures name but the package does not export (plans, programs) are no part of the reference.
  ["--validation.notExported", "false"],
  // Links of the README into the repository lead nowhere from here, and need not.
  ["--validation.invalidPath", "false"],
  ["--validation.notDocumented", "true"],
  ...MUST_HAVE_DOCSTRINGS.flatMap((kind) => ["--requiredToBeDocumented", kind]),
  ["--treatWarningsAsErrors"],
  // No hash of the commit, no date: equal sources give equal pages.
  ["--disableSources"],
].flat();

const packages = PACKAGES.map((name) => `--package=${name}`);
try {
  const { stdout } = await npm(["exec", "--yes", ...packages, "--", "typedoc", ...options], { cwd: root });
  console.log(stdout.trim());
} catch (error) {
  console.error(`${error.stdout ?? ""}${error.stderr ?? error.message}`.trim());
  process.exitCode = 1;
}
