/** An {@link Output} that writes to memory. */
import { Writable } from "node:stream";
import { Output } from "#src/cli/output.js";

/** A stream that remembers, and says whether it is a terminal. */
class Memory extends Writable {
  readonly #pieces: string[] = [];

  constructor(readonly isTTY: boolean) {
    super();
  }

  override _write(data: Buffer, _encoding: string, done: () => void): void {
    this.#pieces.push(data.toString());
    done();
  }

  text(): string {
    return this.#pieces.join("");
  }
}

/** An output and what was written to it. */
export function capture(json: boolean, isTTY = false) {
  const stdout = new Memory(isTTY);
  const stderr = new Memory(isTTY);
  return { output: new Output({ json, stdout, stderr, env: {} }), stdout, stderr };
}
