/** Runs what `verydeep profile` asks for: builds the net, measures, and tells. Loaded by that command alone. */
import { createEngine } from "../engine.js";
import { checkWritable, writeFileAtomically } from "../io/atomic-file.js";
import { Net } from "../models/net.js";
import { netTotals } from "../models/net-config.js";
import { isNetName } from "../models/nets.js";
import { glorotUniform } from "../nn/init.js";
import { kernelProfiles, median, type ProfiledRun, profileNet } from "../profile/net-profile.js";
import { measurePeak } from "../profile/peak.js";
import { type ChromeTrace, chromeTrace } from "../profile/trace.js";
import { exitOnInterrupt } from "./interrupt.js";
import type { Output } from "./output.js";
import type { ProfileOptions } from "./profile.js";
import { gflopsOf, layerName, layerRecords, type MeasuredNet, profileLines, rounded } from "./profile-table.js";
import type { Shown } from "./summary.js";
import { engineOptions, tierOf } from "./threads.js";

const NOTE = `\
GFLOP/s: two for each multiply-accumulate of the direct method; Winograd needs fewer, so it may pass 100 % of the peak.
MB: each input read once, each output written once.`;

/** What was asked for, as the JSON object begins. */
interface Facts {
  readonly config: string;
  readonly input: number;
  readonly batch: number;
  readonly threads: number;
  readonly backend: string;
  /** Of wasm's kernels; null on other backends. */
  readonly tier: string | null;
  readonly train: boolean;
}

/** Measures a net and prints the table, or the JSON object; writes the trace of the run in the middle. */
export async function runProfile(net: Shown, options: ProfileOptions, output: Output): Promise<void> {
  const endInterrupt = exitOnInterrupt(output);
  try {
    await checkWritable("verydeep profile", options.out);
    const { facts, runs, measured } = await measure(net, options, output);
    const trace = traceOf(facts, runs, measured);
    await writeFileAtomically("verydeep profile", options.out, async (handle) => {
      await handle.writeFile(`${JSON.stringify(trace)}\n`);
    });
    const times = runs.map(({ ms }) => ms);
    tell(net, facts, measured, times, options.out, output);
  } finally {
    endInterrupt();
  }
}

interface Measurement {
  readonly facts: Facts;
  readonly runs: readonly ProfiledRun[];
  readonly measured: MeasuredNet;
}

async function measure(net: Shown, options: ProfileOptions, output: Output): Promise<Measurement> {
  const { batch, threads, train, backend } = options;
  const { inputSize, classes, layers } = net;
  const engine = await createEngine({
    ...engineOptions({ backend, tier: tierOf(options), threads }),
    macs: netTotals(layers).macs * batch * (train ? 3 : 1),
  });
  const progress = output.progress("profile", options.runs);
  try {
    // Cheap to draw, and activations keep their size.
    const model = new Net(layers, { init: glorotUniform }, engine);
    let peakGflops = 0;
    const what = {
      ...{ batch, inputSize, classes, train, runs: options.runs },
      onWarm: async () => {
        peakGflops = await measurePeak(engine);
      },
      onRun: (done: number) => progress.update(done, ""),
    };
    const runs = await profileNet(model, what, engine);
    // Once more: others may have been at work the first time.
    peakGflops = Math.max(peakGflops, await measurePeak(engine));
    const paperNames = new Map(layers.map(({ name, paperName }) => [name, paperName]));
    const msMedian = median(runs.map(({ ms }) => ms));
    return {
      facts: {
        ...{ config: net.name, input: inputSize, batch, threads: engine.threads },
        ...{ backend: engine.backend.name, tier: engine.tier, train },
      },
      runs,
      measured: { kernels: kernelProfiles(runs), msMedian, peakGflops, paperNames },
    };
  } finally {
    progress.end();
    await engine.close();
  }
}

/** The trace of the run whose time is nearest to the median. */
function traceOf(
  facts: Facts,
  runs: readonly ProfiledRun[],
  { msMedian, peakGflops, paperNames }: MeasuredNet,
): ChromeTrace {
  const distance = ({ ms }: ProfiledRun): number => Math.abs(ms - msMedian);
  const { calls } = runs.reduce((a, b) => (distance(b) < distance(a) ? b : a));
  const { config, input, batch, train, tier, ...rest } = facts;
  const title = `verydeep ${config} ${batch}x3x${input}x${input} ${train ? "training step" : "forward"}`;
  const about = {
    title,
    ...rest,
    ...(tier === null ? {} : { tier }),
    peakGflops: rounded(peakGflops),
    platform: process.platform,
    node: process.version,
  };
  return chromeTrace(calls, about, (call) => layerName(call, paperNames));
}

function tell(
  net: Shown,
  facts: Facts,
  measured: MeasuredNet,
  times: readonly number[],
  out: string,
  output: Output,
): void {
  const { kernels, msMedian, peakGflops } = measured;
  const msMin = Math.min(...times);
  const flops = kernels.reduce((sum, kernel) => sum + kernel.flops, 0);
  const gflops = gflopsOf(flops, msMedian);
  output.record({
    ...facts,
    ...{ msMedian: rounded(msMedian), msMin: rounded(msMin), runs: times.length },
    ...{ gflops: rounded(gflops), peakGflops: rounded(peakGflops), trace: out },
    layers: layerRecords(measured),
  });

  const { bold, dim } = output.paint;
  const { input, batch, threads, backend, tier, train } = facts;
  const computer = tier === null ? backend : `${threads} ${threads === 1 ? "thread" : "threads"}, tier ${tier}`;
  const what = train ? "training step" : "forward";
  output.line(
    `${bold(isNetName(net.name) ? net.name : net.about)}, ${what}, ${batch}x3x${input}x${input}: ${computer}, Node ${process.versions.node}`,
  );
  const paint = { head: dim, phase: bold, row: (text: string) => text, total: bold };
  for (const { kind, text } of profileLines(measured)) output.line(paint[kind](text));
  output.line(
    `${bold(`${msMedian.toFixed(2)} ms`)} median, ${msMin.toFixed(2)} ms least of ${times.length} ${times.length === 1 ? "run" : "runs"}, ${((batch * 1000) / msMedian).toFixed(1)} pictures/s; ` +
      `peak of this machine ${peakGflops.toFixed(1)} GFLOP/s`,
  );
  for (const line of NOTE.split("\n")) output.line(dim(line));
  const silent = kindsWithoutRow(net, measured);
  if (silent.length > 0)
    output.line(
      dim(`No line of their own: ${silent.join(", ")}: computed inside another layer, or nothing to compute.`),
    );
  output.line(`trace ${out}`);
}

/** Kinds of layers that ran no kernel of their own in the forward pass. */
function kindsWithoutRow({ layers }: Shown, { kernels }: MeasuredNet): string[] {
  const ran = new Set(kernels.filter(({ phase }) => phase === "forward").map(({ module }) => module));
  return [...new Set(layers.filter(({ name, auxiliary }) => !auxiliary && !ran.has(name)).map(({ kind }) => kind))];
}
