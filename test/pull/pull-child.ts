/** Pulls the tests' tiny file as a process of its own: pull-child.ts ADDRESS FOLDER [--json]. Prints what `verydeep pull` prints. */

import { Output } from "#src/cli/output.js";
import { runPull } from "#src/cli/pull.js";
import { entryOf } from "./server.js";

const [base, dir, ...flags] = process.argv.slice(2);
const json = flags.includes("--json");
const output = new Output({ json, stdout: process.stdout, stderr: process.stderr, env: process.env });
try {
  process.exitCode = await runPull(entryOf(base), { dir }, output, { waitMs: 1 });
} catch (error) {
  output.error(error);
  process.exitCode = 1;
}
