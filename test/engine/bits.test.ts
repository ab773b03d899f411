/**
 * The same bits from the same seed: whatever the number of threads; in the plain tier also whatever the machine and the version of
 * Node; in the others the same for both on one machine.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { possibleTiers } from "#src/backend/wasm/tiers.js";
import { NODE } from "#src/node-host.js";
import { npmExec } from "../../scripts/npm.js";
import { runScript } from "./child.js";

/**
 * SHA-256 of the weights of bits-worker.js. Plain SIMD: any machine, any Node from 20. It changes only where a kernel's order
 * of sums, an initialiser or a random stream changes: on purpose, and with a line in the changelog.
 */
const PINNED = "cbc27c1b14c351c3493a3a72b815fc80002effa4a00958083bdf76fd265ba9a0";

for (const threads of [1, 2, 3, 5]) {
  test(`weights of A-LRN after 50 steps: plain, ${threads} threads`, async () => {
    assert.is(await hashOf([String(threads), "plain"]), PINNED);
  });
}

/** relaxed and turbo: the same for any number of threads and for both, but no promise of which (the machine may round twice). */
const tiers = await possibleTiers(NODE);
if (!tiers.includes("turbo")) console.log("SKIPPED the turbo tier: it needs Node 24 on x86-64 with AVX2");
let relaxed = "";
for (const tier of ["relaxed", "turbo"] as const) {
  const tierTest = tiers.includes(tier) ? test : test.skip;
  for (const threads of [1, 2, 3]) {
    tierTest(`weights of A-LRN after 50 steps: ${tier}, ${threads} threads`, async () => {
      const hash = await hashOf([String(threads), tier]);
      relaxed ||= hash;
      assert.is(hash, relaxed);
      assert.is.not(hash, PINNED);
    });
  }
}

/** What bits-worker.js prints. */
async function hashOf(args: readonly string[], node?: string): Promise<string> {
  const { code, stdout, stderr } = await runScript("bits-worker.js", args, node === undefined ? {} : { node });
  assert.is(stderr, "");
  assert.is(code, 0);
  return stdout.trim();
}

/** Path of another Node, if npm has it at hand: `npx -y node@24 --version` fetches it once; the package `node` holds the real programs. */
async function otherNode(name: string): Promise<string | null> {
  try {
    const { stdout } = await npmExec(name, ["node", "-p", "process.execPath"], { offline: true, timeout: 20_000 });
    return stdout.trim();
  } catch {
    return null;
  }
}

for (const major of [20, 22, 24]) {
  if (process.version.startsWith(`v${major}.`)) continue;
  const name = `node@${major}`;
  const node = await otherNode(name);
  if (node === null) console.log(`SKIPPED ${name}: it is not at hand; npx -y ${name} --version fetches it`);
  const otherTest = node === null ? test.skip : test;
  otherTest(`weights of A-LRN after 50 steps: plain, ${name} instead of ${process.version}`, async () => {
    assert.is(await hashOf(["2", "plain"], node ?? ""), PINNED);
  });
  otherTest(`weights of A-LRN after 50 steps: relaxed, ${name} instead of ${process.version}`, async () => {
    assert.is(await hashOf(["2", "relaxed"], node ?? ""), relaxed);
  });
}

test.run();
