/** Runs the plain JavaScript programs of this folder in processes of their own. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface ChildResult {
  /** null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** It was still there at the time limit, and was ended. */
  readonly timedOut: boolean;
}

/** Runs `node [flags] test/engine/<script> [args]`; ends it at the time limit. */
export function runScript(
  script: string,
  args: readonly string[] = [],
  { flags = [], limitMs = 60_000, node = process.execPath }: ChildOptions = {},
): Promise<ChildResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [...flags, fileURLToPath(new URL(script, import.meta.url)), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      // The parent's loaders are of no use to it.
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    const output = { stdout: "", stderr: "" };
    let timedOut = false;
    child.stdout.on("data", (data) => {
      output.stdout += data;
    });
    child.stderr.on("data", (data) => {
      output.stderr += data;
    });
    const limit = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, limitMs);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(limit);
      resolve({ code, timedOut, ...output });
    });
  });
}

interface ChildOptions {
  readonly flags?: readonly string[];
  readonly limitMs?: number;
  /** Path of another Node. */
  readonly node?: string;
}
