/**
 * VGG-16's three fully connected layers in one program, with weights as float16 and int8 against float32, in turn (compare.ts). At batch 1 they take
 * what reading their weights takes: 494, 247 or 123 MB. A ratio below 1 is the quantised layers'.
 */
import { createEngine, type Engine, linear, linearQuantized, QuantizedWeight, type Tensor } from "#src/index.js";
import { type ComparisonRow, formatComparison, takeTurns } from "./compare.js";
import { type BenchSettings, emitRow, isWanted, kernelRun, type Prepared, runAlone, uniform } from "./harness.js";

const LAYERS = [
  [4096, 25088],
  [4096, 4096],
  [1000, 4096],
] as const;
const BATCHES = [1, 8];
const ROUNDS = 41;
const QUICK_ROUNDS = 3;

/** The largest difference from float32 that rounding explains, of the largest output of a layer. */
const TOLERANCE = { float16: 1e-3, int8: 2e-2 } as const;
type Type = keyof typeof TOLERANCE;

/** A layer's float32 weight and the others made of it. */
interface Weights {
  readonly float32: Tensor;
  readonly float16: QuantizedWeight;
  readonly int8: QuantizedWeight;
}

async function makeWeights(engine: Engine): Promise<Weights[]> {
  const all: Weights[] = [];
  for (const [rows, columns] of LAYERS) {
    const float32 = await uniform(engine, [rows, columns], `weight ${rows} ${columns}`);
    const make = async (type: Type): Promise<QuantizedWeight> => {
      const weight = new QuantizedWeight(engine, rows, columns, type);
      await weight.write(await engine.read(float32));
      return weight;
    };
    all.push({ float32, float16: await make("float16"), int8: await make("int8") });
  }
  return all;
}

/** All layers, each on an input of its own, so that every one has the same numbers to read whatever the others give. */
async function prepare(engine: Engine, weights: readonly Weights[], batch: number, type: Type | "float32") {
  const inputs: Tensor[] = [];
  for (const [, columns] of LAYERS) inputs.push(await uniform(engine, [batch, columns], `x ${columns}`));
  const layer = (i: number, kept: Type | "float32"): Tensor => {
    const weight = weights[i][kept];
    return weight instanceof QuantizedWeight
      ? linearQuantized(inputs[i], weight, weight.scale)
      : linear(inputs[i], weight);
  };
  const record = (): Tensor => LAYERS.map((_, i) => layer(i, type))[LAYERS.length - 1];
  const check = async (): Promise<void> => {
    for (let i = 0; type !== "float32" && i < LAYERS.length; i++) {
      const expected = await layer(i, "float32").data();
      const found = await layer(i, type).data();
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const apart = found.reduce((most, value, o) => Math.max(most, Math.abs(value - expected[o])), 0);
      if (!(apart <= TOLERANCE[type] * largest)) {
        throw new Error(`linear ${LAYERS[i]} as ${type}: ${apart} from float32, whose largest is ${largest}`);
      }
    }
  };
  return kernelRun(engine, record, check);
}

export async function bench(settings: BenchSettings): Promise<void> {
  const names = (type: Type, batch: number): string[] => ["linear-quantised", type, `batch ${batch}`];
  const wanted = (type: Type): number[] => BATCHES.filter((batch) => isWanted(names(type, batch), settings));
  const types = (["float16", "int8"] as const).filter((type) => wanted(type).length > 0);
  if (types.length > 0 && !settings.json) console.log("");
  for (const threads of types.length > 0 ? settings.threads : []) {
    const engine = await createEngine({ threads, tier: settings.tier });
    const weights = await makeWeights(engine);
    for (const type of types) {
      for (const batch of wanted(type)) {
        const sides: [Prepared, Prepared] = [
          await prepare(engine, weights, batch, type),
          await prepare(engine, weights, batch, "float32"),
        ];
        const turns = await takeTurns(sides, settings.quick ? QUICK_ROUNDS : ROUNDS);
        const row: ComparisonRow & { readonly threads: number; readonly tier: string | null } = {
          bench: "linear-quantised",
          case: `${engine.tier}, ${threads} threads`,
          shape: `batch ${batch}`,
          layers: "A-E fc6, fc7, fc8",
          sides: [type, "float32"],
          ...turns,
          threads,
          tier: engine.tier,
        };
        emitRow(row, formatComparison(row), settings);
      }
    }
    await engine.close();
  }
}

await runAlone(import.meta.url, bench);
