/** The same bits from the same seed: whatever the number of threads, the machine and the version of Node. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { npmExec } from "../../scripts/npm.js";
import { runScript } from "./child.js";

/**
 * SHA-256 of the weights of bits-worker.js. Plain SIMD: any machine, any Node from 20. It changes only where a kernel's order
 * of sums, an initialiser or a random stream changes: on purpose, and with a line in the changelog.
 */
const PINNED = "af363de187ecfa42ca46b6ac0661163173db47e73144129b6bcd8f48aacaf496";

for (const threads of [1, 2, 3, 5]) {
  test(`weights of A-LRN after 50 steps: ${threads} threads`, async () => {
    const { code, stdout, stderr } = await runScript("bits-worker.js", [String(threads)]);
    assert.is(stderr, "");
    assert.is(stdout.trim(), PINNED);
    assert.is(code, 0);
  });
}

/** The newest and the oldest Node that we support; npm's package `node` holds the real programs. */
const OTHER = process.version.startsWith("v20.") ? "node@24" : "node@20";

/** Path of the other Node, if npm has it at hand: `npx -y node@24 --version` fetches it once. */
async function otherNode(): Promise<string | null> {
  try {
    const { stdout } = await npmExec(OTHER, ["node", "-p", "process.execPath"], { offline: true, timeout: 20_000 });
    return stdout.trim();
  } catch {
    return null;
  }
}

const node = await otherNode();
if (node === null) console.log(`skipped: ${OTHER} is not at hand; npx -y ${OTHER} --version fetches it`);
const otherTest = node === null ? test.skip : test;
otherTest(`weights of A-LRN after 50 steps: ${OTHER} instead of ${process.version}`, async () => {
  const { code, stdout } = await runScript("bits-worker.js", ["2"], { node: node ?? "" });
  assert.is(stdout.trim(), PINNED);
  assert.is(code, 0);
});

test.run();
