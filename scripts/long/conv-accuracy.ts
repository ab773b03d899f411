/**
 * How far every way to convolve is from float64, in all three directions, on all 3x3 shapes of VGG at batch 8.
 *
 *   node --import tsx scripts/long/conv-accuracy.ts [--batch 8] [--input 224] [--algorithms im2col,winograd4] [--tier plain]
 *       [--kinds signed,rectified] [--threads N] [--out rows.jsonl] [--sampled]
 *
 * Prints a table, largest error over largest value, and exits with 1 where one is above its limit: 5e-5, for exact and im2col 1e-6 forward and
 * 3e-6 in gradients. The truth is PyTorch's float64, all of each tensor, where a Python with PyTorch is there; else, and with
 * --sampled, the definition in float64 at 2,000 random places of each. A file of rows keeps what is done.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createEngine, VGG_CONFIG_NAMES, vggLayers } from "#src/index.js";
import { TIERS } from "#src/runs/request.js";
import { ALGORITHMS, type AlgorithmOption, chosen, type TierOption } from "../../bench/harness.js";
import {
  type ConvCase,
  caseName,
  convInputs,
  convResults,
  type InputKind,
  limitOf,
  sampledErrors,
  type ThreeDirections,
} from "../../test/helpers/conv-accuracy.js";
import { RowFile, runScript, wholeNumbers } from "./rows.js";

const PLACES = 2000;
const PYTHONS = ["python3", "/usr/bin/python3", "python"];
const SCRIPT = fileURLToPath(new URL("./conv-accuracy.py", import.meta.url));
const KINDS: readonly InputKind[] = ["signed", "rectified"];
const DIRECTIONS = ["y", "dx", "dWeight"] as const;

type Errors = ThreeDirections<number>;

/** All different 3x3 convolutions of all VGG nets. */
function vggCases(batch: number, inputSize: number): ConvCase[] {
  const cases = new Map<string, ConvCase>();
  for (const config of VGG_CONFIG_NAMES) {
    for (const layer of vggLayers(config, { inputSize })) {
      if (layer.kind !== "conv" || layer.kernelSize !== 3) continue;
      const { inChannels, inShape, outChannels } = layer;
      const found = { batch, inC: inChannels, size: inShape[1], outC: outChannels };
      cases.set(caseName(found), found);
    }
  }
  return [...cases.values()].sort((a, b) => b.size - a.size || a.inC - b.inC);
}

/** The errors of one result by PyTorch's float64. */
function torchErrors(python: string, c: ConvCase, kind: InputKind, results: ThreeDirections<Float32Array>): Errors {
  const folder = mkdtempSync(path.join(tmpdir(), "verydeep-conv-"));
  try {
    const files = DIRECTIONS.map((name): [string, string] => {
      const file = path.join(folder, name);
      writeFileSync(file, results[name]);
      return [name, file];
    });
    const input = JSON.stringify({ ...c, kind, results: { ours: Object.fromEntries(files) } });
    const { status, stdout, stderr } = spawnSync(python, [SCRIPT], { input, encoding: "utf8" });
    if (status !== 0) throw new Error(`conv-accuracy.py failed: ${stderr.trim().split("\n").at(-1)}`);
    return JSON.parse(stdout).ours;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Settings {
  readonly threads: number;
  readonly tier: TierOption;
  /** Null: sampled. */
  readonly python: string | null;
}

async function measure(
  c: ConvCase,
  kind: InputKind,
  convAlgorithm: AlgorithmOption,
  settings: Settings,
): Promise<Errors> {
  const { threads, tier, python } = settings;
  const engine = await createEngine({ threads, tier, convAlgorithm });
  const inputs = convInputs(c, kind);
  const results = await convResults(engine, c, inputs);
  await engine.close();
  return python === null ? sampledErrors(c, inputs, results, PLACES) : torchErrors(python, c, kind, results);
}

await runScript(async () => {
  const { values } = parseArgs({
    options: {
      batch: { type: "string", default: "8" },
      input: { type: "string", default: "224" },
      algorithms: { type: "string", default: ALGORITHMS.join(",") },
      kinds: { type: "string", default: KINDS.join(",") },
      tier: { type: "string", default: "plain" },
      threads: { type: "string", default: `${availableParallelism()}` },
      out: { type: "string" },
      sampled: { type: "boolean", default: false },
    },
  });
  const [batch] = wholeNumbers("--batch", values.batch);
  const [input] = wholeNumbers("--input", values.input);
  const algorithms = values.algorithms.split(",").map((name) => chosen("algorithms", name, ALGORITHMS));
  const kinds = values.kinds.split(",").map((name) => chosen("kinds", name, KINDS));
  const hasTorch = (python: string): boolean => spawnSync(python, ["-c", "import torch"]).status === 0;
  const settings: Settings = {
    threads: wholeNumbers("--threads", values.threads)[0],
    tier: chosen("tier", values.tier, TIERS),
    python: values.sampled ? null : (PYTHONS.find(hasTorch) ?? null),
  };
  const truth = settings.python === null ? `float64 at ${PLACES} places` : "PyTorch float64";
  const rows = new RowFile<Errors>(values.out);
  const lines: string[] = [];
  let missed = 0;
  for (const c of vggCases(batch, input)) {
    for (const kind of kinds) {
      for (const algorithm of algorithms) {
        const key = { shape: caseName(c), kind, algorithm, tier: settings.tier, truth };
        const errors = await rows.get(key, () => measure(c, kind, algorithm, settings));
        const limit = limitOf(algorithm);
        const bad = DIRECTIONS.filter((name) => !(errors[name] <= limit[name]));
        missed += bad.length;
        const cells = DIRECTIONS.map((name) => errors[name].toExponential(1).padStart(9)).join("");
        const names = `${caseName(c).padEnd(38)} ${kind.padEnd(10)} ${algorithm.padEnd(12)}`;
        lines.push(`${names}${cells}${bad.length > 0 ? `  ABOVE THE LIMIT: ${bad.join(", ")}` : ""}`);
      }
    }
  }
  console.log(`\nlargest error / largest value, tier ${settings.tier}, against ${truth}`);
  console.log(
    `${"shape".padEnd(38)} ${"x".padEnd(10)} ${"algorithm".padEnd(12)}${"y".padStart(9)}${"dx".padStart(9)}  dWeight`,
  );
  console.log(lines.join("\n"));
  console.log(missed === 0 ? "all within their limits" : `MISSED: ${missed} above their limits`);
  if (missed > 0) process.exitCode = 1;
});
