/** Runs that never ran: reports for the tests, from a formula and the project's generator. */
import { Random } from "#src/core/random.js";
import type { ReportConfusion, RunReport } from "#src/report/run-report.js";

/** A run of `epochs` epochs of `each` steps that learns, with two drops of the rate and a resume. */
export function madeUpRun(epochs: number, each: number): RunReport {
  const random = new Random(7, "report");
  const total = epochs * each;
  const drops = [Math.round(total * 0.5), Math.round(total * 0.8)];
  const rate = (step: number): number => drops.reduce((lr, drop) => (step > drop ? lr / 10 : lr), 0.01);
  const steps = Array.from({ length: total }, (_, i) => {
    const step = i + 1;
    const learnt = step / (step + total * 0.12);
    const noise = random.uniform() - 0.5;
    const loss = 2.4 * (1 - learnt) + 0.35 * noise * (1.1 - learnt) + 0.05;
    return {
      step,
      epoch: Math.ceil(step / each),
      loss,
      accuracy: Math.max(0, learnt * 0.98 + 0.1 * noise),
      lr: rate(step),
    };
  });
  return {
    title: "VGG A, width 0.5, CIFAR-10",
    facts: [
      ["net", "VGG A, width 0.5, input 3x32x32: 2,312,330 parameters"],
      ["data", "cifar10: 18,000 to learn, 2,000 to validate, 1,000 to test, 10 classes"],
      ["run", `${epochs} epochs, batch 64, lr 0.01, seed 1, wasm plain, 2 threads`],
    ],
    steps,
    epochs: Array.from({ length: epochs }, (_, i) => {
      const last = steps[(i + 1) * each - 1];
      const valTop1 = 0.93 * last.accuracy;
      return {
        epoch: i + 1,
        step: last.step,
        trainLoss: last.loss,
        valLoss: last.loss + 0.15,
        valTop1,
        valTop5: 1 - (1 - valTop1) ** 3,
        lr: last.lr,
      };
    }),
    events: [
      { step: drops[0], text: "validation stopped improving: learning rate 0.01 → 0.001" },
      { step: Math.round(total * 0.65), text: "resumed from checkpoint-000650.safetensors" },
      { step: drops[1], text: "validation stopped improving: learning rate 0.001 → 0.0001" },
    ],
    test: { top1: 0.864, top5: 0.991, loss: 0.4312, confusion: madeUpConfusion(10) },
    commands: [
      ["Classify pictures", "verydeep classify PICTURE.png --weights runs/a/best.safetensors"],
      ["Go on where the run stopped", "verydeep train --resume runs/a"],
    ],
  };
}

export function madeUpConfusion(classes: number): ReportConfusion {
  const random = new Random(9, "confusion");
  const known = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
  const counts = Uint32Array.from({ length: classes * classes }, (_, i) =>
    i % (classes + 1) === 0 ? 70 + Math.floor(random.uniform() * 25) : Math.floor(random.uniform() ** 4 * 9),
  );
  return { classNames: Array.from({ length: classes }, (_, c) => known[c] ?? `class ${c}`), counts };
}
