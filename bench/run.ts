/** All benches: `npm run bench -- [--filter TEXT] [--threads 1,2] [--algorithm im2col,winograd4] [--json] [--out FILE] [--quick]`. README.md says how to read the rows. */
import { type BenchSettings, parseSettings, printHeader } from "./harness.js";

/** In the order of running; a filter that is one of these names runs the whole file. */
const FILES = [
  "gemm",
  "conv2d",
  "conv-plan",
  "linear",
  "linear-quantised",
  "pool2d",
  "lrn",
  "batch-norm",
  "forward",
  "training-step",
  "threads",
];

const settings = settingsOrExit();
printHeader(settings);
const files = FILES.includes(settings.filter) ? [settings.filter] : FILES;
const inFiles = FILES.includes(settings.filter) ? { ...settings, filter: "" } : settings;
for (const file of files) {
  const { bench }: { bench(settings: BenchSettings): Promise<void> } = await import(`./${file}.bench.js`);
  await bench(inFiles);
}

/** Options that make no sense end the run in one line. */
function settingsOrExit(): BenchSettings {
  try {
    return parseSettings();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(2);
  }
}
