/** `verydeep info`: what this machine offers, and what an engine would use by default. */
import { cpus } from "node:os";
import type { Command } from "../vendor/command-line.js";
import type { Output } from "./output.js";

/** Adds the command; `version` is the package's. */
export function addInfo(program: Command, output: Output, version: string): void {
  program
    .command("info")
    .description("tell what this machine offers: tiers, threads, memory")
    .option("--json", "print one JSON object")
    .action(async () => {
      const { describeHost } = await import("../engine.js");
      const host = await describeHost();
      const info = {
        version,
        node: process.versions.node,
        platform: `${process.platform}-${process.arch}`,
        cpu: cpus()[0]?.model.trim() ?? "unknown",
        ...host,
        webgpu: { available: false, adapter: null, reason: "this version has no WebGPU backend" },
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
        ["webgpu", `no: ${webgpu.reason}`],
      ]) {
        output.line(`${name.padEnd(9)} ${text}`);
      }
      output.record(info);
    });
}
