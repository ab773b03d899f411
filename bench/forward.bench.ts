/** A forward pass of A, D and E at 224, batch 1: from a kept picture to 1000 logits in JavaScript's memory. */
import { type VggConfigName, vgg, vggLayers, vggTotals } from "#src/index.js";
import { type BenchCase, type BenchSettings, runAlone, runCases, uniform } from "./harness.js";

const SIZE = 224;

/** A VGG at 224 with 1000 classes and random weights; dropout off, no tape. */
export function forwardCase(config: VggConfigName, batch: number): BenchCase {
  const shape = [batch, 3, SIZE, SIZE];
  return {
    bench: "vggForward",
    shape: `${config} x=[${shape}]`,
    layers: `all of ${config}`,
    flops: 2 * batch * vggTotals(vggLayers(config)).macs,
    bytes: 0,
    algorithm: (option) => option,
    async prepare(engine) {
      const model = vgg(config, { inputSize: SIZE }, engine).eval();
      const x = await uniform(engine, shape, "picture");
      const run = (): Promise<Float32Array> => engine.noGrad(() => model.forward(x)).data();
      return {
        run,
        check: async () => {
          const logits = await run();
          if (!logits.every(Number.isFinite) || new Set(logits).size < 900) throw new Error(`${config}: no logits`);
        },
      };
    },
  };
}

export async function bench(settings: BenchSettings): Promise<void> {
  const configs: VggConfigName[] = ["A", "D", "E"];
  await runCases(
    configs.map((config) => forwardCase(config, 1)),
    settings,
  );
}

await runAlone(import.meta.url, bench);
