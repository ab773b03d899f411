/**
 * Where Winograd begins to pay: im2col against Winograd, in turn (compare.ts), with few channels and with few tiles, one thread.
 * The thresholds of src/backend/wasm/conv-plan.ts come from these rows. A ratio above 1 is Winograd's.
 */
import { compare, formatComparison } from "./compare.js";
import { type Conv2dRow, conv2dCases } from "./conv2d.bench.js";
import { type BenchSettings, emitRow, isWanted, readShapes, runAlone } from "./harness.js";

const ROUNDS = 41;
const QUICK_ROUNDS = 3;

export async function bench(settings: BenchSettings): Promise<void> {
  const cases = readShapes<Conv2dRow>("conv2d", "conv-plan.json")
    .flatMap(conv2dCases)
    .filter(({ algorithm }) => algorithm?.("winograd4") === "winograd4")
    .filter(({ bench, shape, layers }) => isWanted(["conv-plan", bench, shape, layers], settings));
  if (cases.length > 0 && !settings.json) console.log("");
  for (const benchCase of cases) {
    const row = await compare(
      "conv-plan",
      benchCase,
      [
        { name: "im2col", options: { threads: 1, tier: settings.tier, convAlgorithm: "im2col" } },
        { name: "winograd4", options: { threads: 1, tier: settings.tier, convAlgorithm: "winograd4" } },
      ],
      settings.quick ? QUICK_ROUNDS : ROUNDS,
    );
    emitRow(row, formatComparison(row), settings);
  }
}

await runAlone(import.meta.url, bench);
