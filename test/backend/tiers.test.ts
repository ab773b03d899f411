/** Which tier runs where: on made-up hosts, and in this process. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Machine, WasmHost } from "#src/backend/wasm/host.js";
import { compareRuns } from "#src/backend/wasm/self-check.js";
import { defaultTier, enterTier, possibleTiers, wideObstacle } from "#src/backend/wasm/tiers.js";
import { BackendError, UsageError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { cpuFlagsOf, NODE } from "#src/node-host.js";
import { sum } from "#src/ops/index.js";
import { runScript } from "../engine/child.js";
import { rejects, throws } from "../engine/nets.js";
import { allowRelaxedSimd } from "../helpers/relaxed.js";

const MILAN: Machine = { nodeMajor: 24, arch: "x64", cpuFlags: new Set(["sse4_2", "avx", "avx2", "fma"]) };
const DEFAULT = defaultTier();

/** A host whose V8 is told what to do, and does nothing. */
function hostOf(machine: Machine | null, flags: string[] = []): WasmHost {
  const setFlag = async (flag: string): Promise<void> => {
    flags.push(flag);
  };
  return {
    readKernels: async () => new Uint8Array(),
    createPool: NODE.createPool,
    sharedMemoryRemedy: NODE.sharedMemoryRemedy,
    v8: machine && { setFlag, machine: async () => machine },
  };
}

for (const [what, machine, obstacle] of [
  ["Node 24, x86-64, AVX2", MILAN, null],
  ["Node 26, features unknown", { ...MILAN, nodeMajor: 26, cpuFlags: null }, null],
  ["Node 22", { ...MILAN, nodeMajor: 22 }, "it needs Node 24 or later, this is 22"],
  ["arm64", { ...MILAN, arch: "arm64" }, "it needs an x86-64 processor, this is arm64"],
  ["no AVX2", { ...MILAN, cpuFlags: new Set(["avx", "fma"]) }, "the processor has no AVX2"],
  ["no FMA", { ...MILAN, cpuFlags: new Set(["avx", "avx2"]) }, "the processor has no FMA"],
] as const) {
  test(`turbo: ${what}`, async () => {
    assert.is(wideObstacle(machine), obstacle);
    if (obstacle === null) return;
    await rejects(
      () => enterTier("turbo", hostOf(machine)),
      UsageError,
      `wasm: the turbo tier cannot run here: ${obstacle} (tier turbo). Use tier relaxed, which gives the same bits, or plain.`,
    );
    assert.not.ok((await possibleTiers(hostOf(machine))).includes("turbo"));
  });
}

test("where relaxed SIMD is there, no flag is set for it, and one for turbo", async () => {
  allowRelaxedSimd();
  const flags: string[] = [];
  const host = hostOf(MILAN, flags);
  assert.is(await enterTier("relaxed", host), "relaxed");
  assert.is(await enterTier("relaxed", hostOf(null)), "relaxed");
  assert.equal(await possibleTiers(host), ["plain", "relaxed", "turbo"]);
  assert.equal(flags, []);
  assert.is(await enterTier("turbo", host), "turbo");
  assert.equal(flags, ["--experimental-wasm-revectorize"]);
});

test("a process of its own: relaxed sets its flag where it must, and the default is what it was before", async () => {
  const { stdout, stderr } = await runScript("../backend/fresh-process.js");
  assert.is(stderr, "");
  const seen = JSON.parse(stdout);
  assert.equal([seen.relaxed, seen.after], ["relaxed", true]);
  assert.equal([seen.auto, seen.default], Array(2).fill(seen.before ? "relaxed" : "plain"));
  if (seen.before) {
    assert.equal([seen.refused, seen.flags], [["relaxed", "relaxed"], []]);
    return;
  }
  const message =
    "UsageError: wasm: the relaxed tier cannot run here: WebAssembly has no relaxed SIMD (tier relaxed). Use tier plain.";
  assert.equal(seen.refused, [message, message]);
  assert.equal(seen.possible, [["plain"], ["plain"]]);
  assert.equal(seen.flags, Array(2).fill("--experimental-wasm-relaxed-simd"));
});

test("engines of all tiers that can run here, side by side, and the tier each has", async () => {
  for (const tier of await possibleTiers(NODE)) {
    for (const threads of [1, 2]) {
      const engine = await createEngine({ tier, threads });
      assert.is(engine.tier, tier);
      assert.is(await sum(engine.tensor([1, 2, 3], [3])).item(), 6);
      await engine.close();
    }
  }
  assert.is((await createEngine({ threads: 1 })).tier, DEFAULT);
  assert.is((await createEngine({ threads: 1, deterministic: true })).tier, "plain");
  assert.is((await createEngine({ backend: "reference" })).tier, null);
});

test("an engine in relaxed or turbo prints no warning of V8's", async () => {
  const tiers = await possibleTiers(NODE);
  const { stdout, stderr } = await runScript("bits-worker.js", ["1", tiers.at(-1) ?? ""]);
  assert.is(stderr, "");
  assert.match(stdout, /^[0-9a-f]{64}\n$/);
});

test("the self-check of wide code: ends when the bits agree, and names the other tiers when they do not", () => {
  const kernel = () => {};
  const runs: string[] = [];
  const [narrow, wide] = [[kernel], [kernel]];
  compareRuns(
    (kernels) => {
      runs.push(kernels === narrow ? "narrow" : "wide");
      return Int32Array.of(1, -2);
    },
    narrow,
    wide,
  );
  assert.equal(runs.slice(0, 3), ["narrow", "wide", "narrow"]);
  // Bits, not numbers: 0 and -0 differ. Wrong from the first wide run, or only once the code is optimised.
  for (const [wrongKernels, from] of [
    [wide, 0],
    [wide, 5],
    [narrow, 3],
  ] as const) {
    let count = 0;
    throws(
      () =>
        compareRuns(
          (kernels) => Int32Array.of(1, kernels === wrongKernels && count++ >= from ? -(2 ** 31) : 0),
          narrow,
          wide,
        ),
      BackendError,
      "wasm: this machine's 256-bit code gives other results than its 128-bit code (tier turbo). Use tier relaxed, or plain.",
    );
  }
});

test("/proc/cpuinfo: the flags of the first processor, or nothing", () => {
  const text = "processor\t: 0\nflags\t\t: fpu avx2 fma\nbugs\t\t: x\n\nprocessor\t: 1\nflags\t\t: fpu\n";
  assert.equal([...(cpuFlagsOf(text) ?? [])], ["fpu", "avx2", "fma"]);
  assert.is(cpuFlagsOf("Processor: ARMv8\nFeatures\t: fp asimd\n"), null);
  assert.is(cpuFlagsOf(""), null);
});

test.run();
