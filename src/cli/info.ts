/** `verydeep info`: what this machine offers, and what an engine would use by default. */
import { cpus } from "node:os";
import type { GpuFacts } from "../engine.js";
import type { Command } from "../vendor/command-line.js";
import type { Output } from "./output.js";

/** Adds the command; `version` is the package's. */
export function addInfo(program: Command, output: Output, version: string): void {
  program
    .command("info")
    .description("tell what this machine offers: tiers, threads, memory, a GPU")
    .option("--json", "print one JSON object")
    .action(async () => {
      const { describeGpu, describeHost } = await import("../engine.js");
      const [host, gpu] = await Promise.all([describeHost(), describeGpu()]);
      const info = {
        version,
        node: process.versions.node,
        platform: `${process.platform}-${process.arch}`,
        cpu: cpus()[0]?.model.trim() ?? "unknown",
        ...host,
        webgpu: gpu,
      };
      const { tiers, tier, threads, memoryMaxBytes, webgpu } = info;
      const { bold } = output.paint;
      for (const [name, text] of [
        ["verydeep", info.version],
        ["node", `${info.node}, ${info.platform}`],
        ["cpu", info.cpu],
        ["tiers", tiers.map((name) => (name === tier ? `${bold(name)} (default)` : name)).join(", ")],
        ["threads", String(threads)],
        ["memory", `${(memoryMaxBytes / 2 ** 30).toFixed(1)} GiB for tensors at most`],
        ["webgpu", gpuText(webgpu)],
      ]) {
        output.line(`${name.padEnd(9)} ${text}`);
      }
      output.record(info);
    });
}

/** What was found of a GPU, and what `auto` does with it. */
function gpuText({ adapter, speed, fromMacs, backend, reason }: GpuFacts): string {
  if (adapter === null) return `no: ${reason}`;
  const has = [adapter.f16 && "f16", adapter.subgroups && "subgroups"].filter(Boolean).join(", ");
  const about = `${adapter.name}${has === "" ? "" : ` (${has})`}`;
  if (backend === "wasm") return `${about}; not taken by itself: ${reason}`;
  if (speed === null || fromMacs === null) return `${about}; not taken by itself: slower than wasm here`;
  return (
    `${about}, ${Math.round(speed.gflops)} GFLOP/s, round trip ${speed.roundTripMs.toFixed(2)} ms; ` +
    `taken for nets from ${Math.ceil(fromMacs / 1e6)} million multiply-accumulates on`
  );
}
