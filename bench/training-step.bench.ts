/** A training step of A: forward, loss, backward, update of all weights with momentum, until the loss is in JavaScript. */
import {
  crossEntropy,
  labelsTensor,
  SGD,
  type VggConfigName,
  type VggOptions,
  vgg,
  vggLayers,
  vggTotals,
} from "#src/index.js";
import { type BenchCase, type BenchSettings, runAlone, runCases, uniform } from "./harness.js";

/** So small that thousands of steps on one batch change nothing that matters for time. */
const LR = 1e-6;

/** Two of three products of a step are gradients; the pictures themselves get none. */
function stepFlops(config: VggConfigName, options: VggOptions, batch: number): number {
  const layers = vggLayers(config, options);
  return 2 * batch * (3 * vggTotals(layers).macs - layers[0].macs);
}

/** A net on one batch that is in tensor memory. At 32 the classifier is one linear layer of 10 classes, at 224 the paper's. */
export function trainingStepCase(inputSize: 32 | 224, batch: number, config: VggConfigName = "A"): BenchCase {
  const options: VggOptions = inputSize === 32 ? { inputSize, classes: 10, classifier: [] } : { inputSize };
  const { classes = 1000 } = options;
  return {
    bench: "trainingStep",
    shape: `${config} x=[${batch},3,${inputSize},${inputSize}]`,
    layers: `all of ${config}`,
    flops: stepFlops(config, options, batch),
    bytes: 0,
    algorithm: (option) => option,
    async prepare(engine) {
      const model = vgg(config, options, engine);
      const optimiser = new SGD(model.parameters(), { lr: LR, momentum: 0.9, weightDecay: 5e-4 });
      const x = await uniform(engine, [batch, 3, inputSize, inputSize], "pictures");
      const labels = Array.from({ length: batch }, (_, i) => (7 * i) % classes);
      const run = async (): Promise<number> => {
        const loss = await engine.scope(() => {
          const loss = crossEntropy(model.forward(x), labelsTensor(engine, labels, classes));
          loss.backward();
          optimiser.step();
          optimiser.zeroGrad();
          return loss;
        });
        return loss.item();
      };
      return {
        run,
        check: async () => {
          const loss = await run();
          // A fresh net's loss is near that of a guess.
          if (!(loss > 0 && loss < 5 * Math.log(classes))) throw new Error(`trainingStep: the first loss is ${loss}`);
        },
      };
    },
  };
}

export async function bench(settings: BenchSettings): Promise<void> {
  const cases = [trainingStepCase(32, 64), ...[1, 2, 4, 8].map((batch) => trainingStepCase(224, batch))];
  await runCases(cases, settings);
}

await runAlone(import.meta.url, bench);
