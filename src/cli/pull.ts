/** `verydeep pull`: fetches published weights into the cache, with a bar; or lists what there is. pull/pull-entry.ts does the work. */
import type { ManifestEntry } from "../pull/manifest.js";
import type { PullOptions, PullProgress } from "../pull/pull.js";
import type { PullWorld } from "../pull/pull-entry.js";
import type { Command } from "../vendor/command-line.js";
import { listenForInterrupt } from "./interrupt.js";
import { byteSize, grouped, table } from "./numbers.js";
import type { Output } from "./output.js";

/** Under --json, progress is told this often. */
const RECORD_MS = 1_000;

/** What the command takes. */
export type PullArguments = Pick<PullOptions, "dir" | "mirror">;

/** Adds the command; `exit` receives its exit code. */
export function addPull(program: Command, output: Output, exit: (code: number) => void): void {
  program
    .command("pull")
    .description("fetch published ImageNet weights into the cache; without a net, list them")
    .argument("[net]", "vgg11, vgg13, vgg16, vgg19, vgg11_bn, vgg13_bn, vgg16_bn, vgg19_bn")
    .option("--dir <folder>", "keep the file there, instead of in the cache (VERYDEEP_CACHE)")
    .option("--mirror <url>", "fetch it from this address, instead of from its publisher (VERYDEEP_MIRROR)")
    .option("--json", "print one JSON object a line")
    .action(async (net: string | undefined, options: PullArguments) => {
      if (net === undefined) return listWeights(options, output);
      const { needManifestEntry } = await import("../pull/manifest.js");
      exit(await runPull(needManifestEntry(net), options, output));
    });
}

/**
 * Pulls one file and tells about it.
 * @param world for tests.
 * @returns the exit code: 0, or that of the signal that stopped it.
 */
export async function runPull(
  entry: ManifestEntry,
  options: PullArguments,
  output: Output,
  world?: PullWorld,
): Promise<number> {
  const { pullEntry } = await import("../pull/pull-entry.js");
  const interruption = listenForInterrupt(output, "Stopping. What has come is kept: the next pull goes on from there.");
  const show = progressOn(entry, output);
  try {
    const onNote = (message: string): void => {
      output.note(message);
      output.record({ kind: "note", message });
    };
    const file = await pullEntry(entry, { ...options, ...show, onNote, signal: interruption.signal }, world);
    output.endProgress();
    tellResult(entry, file, options.dir !== undefined, output);
    return 0;
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    output.endProgress();
    output.record({ interrupted: true });
    return interruption.exitCode;
  } finally {
    output.endProgress();
    interruption.dispose();
  }
}

/** A bar in megabytes on a terminal, or records. */
function progressOn({ name, maxBytes }: ManifestEntry, output: Output): Required<Pick<PullOptions, "onProgress">> {
  let bar: ReturnType<Output["progress"]> | undefined;
  let recorded = Number.NEGATIVE_INFINITY;
  const onProgress = (progress: PullProgress): void => {
    const { phase, doneBytes, bytesPerSecond } = progress;
    bar ??= output.progress(name, Math.ceil(maxBytes / 1e6));
    const speed = bytesPerSecond > 0 ? `${(bytesPerSecond / 1e6).toFixed(1)} MB/s` : "";
    bar.update(Math.floor(doneBytes / 1e6), phase === "read" ? "MB read of an earlier pull" : `MB  ${speed}`);
    const now = performance.now();
    if (now - recorded < RECORD_MS) return;
    recorded = now;
    output.record({ kind: "progress", ...progress });
  };
  return { onProgress };
}

function tellResult(entry: ManifestEntry, file: string, isElsewhere: boolean, output: Output): void {
  const { name, params, top1, top5, licence } = entry;
  output.record({ kind: "done", net: name, file, licence });
  const { bold } = output.paint;
  for (const [key, text] of [
    ["net", `${bold(name)}: ${grouped(params)} parameters, ImageNet top-1 ${top1} %, top-5 ${top5} % as published`],
    ["file", file],
    ["licence", licence],
    ["next", `verydeep classify photo.jpg --weights ${isElsewhere ? JSON.stringify(file) : name}`],
  ]) {
    output.line(`${key.padEnd(9)} ${text}`);
  }
}

async function listWeights({ dir }: PullArguments, output: Output): Promise<void> {
  const { manifestEntries } = await import("../pull/manifest.js");
  const { cachedWeights } = await import("../pull/pull.js");
  const { folderOf } = await import("../pull/pull-entry.js");
  const folder = folderOf(dir);
  const nets = [];
  for (const { name, maxBytes, top1, top5, url, licence } of manifestEntries()) {
    const file = (await cachedWeights(name, { dir })) ?? null;
    nets.push({ net: name, bytes: maxBytes, top1, top5, url, licence, file });
  }
  output.record({ folder, nets });
  const rows = nets.map(({ net, bytes, top1, top5, file }) => {
    return [net, byteSize(bytes), top1.toFixed(2), top5.toFixed(2), file === null ? "-" : "yes"];
  });
  const [head, ...lines] = table([["net", "size", "top-1 %", "top-5 %", "here"], ...rows], new Set([1, 2, 3]));
  output.line(output.paint.dim(head));
  for (const line of lines) output.line(line);
  output.line(`Kept in ${folder}`);
}
