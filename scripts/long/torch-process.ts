/** The TypeScript end of cifar-pytorch.py: one request, one answer. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Batch } from "#src/data/batch-source.js";

const SCRIPT = fileURLToPath(new URL("./cifar-pytorch.py", import.meta.url));

/** The first Python here that has PyTorch; null where none has. */
export function pythonWithTorch(): string | null {
  const names = ["python3", "/usr/bin/python3", "python"];
  return names.find((name) => spawnSync(name, ["-c", "import torch"]).status === 0) ?? null;
}

export class TorchProcess {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;
  private errors = "";

  constructor(python: string) {
    this.child = spawn(python, [SCRIPT]);
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text;
    });
    // A process that has ended shows by the end of its output.
    this.child.stdin.on("error", () => {});
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** Throws what Python says last where it has ended. */
  async ask(request: object, batch?: Batch): Promise<Record<string, unknown>> {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
    if (batch !== undefined) {
      this.child.stdin.write(bytesOf(batch.x));
      this.child.stdin.write(bytesOf(batch.labels));
    }
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`PyTorch ended: ${this.errors.trim().split("\n").at(-1)}`);
    return JSON.parse(value);
  }

  end(): void {
    this.child.stdin.end();
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
