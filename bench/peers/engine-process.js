// The driver's side of the talk that serve.js describes: starts an engine's process for one case, checks what it computes,
// and keeps its times.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { commandOf, ENGINES } from "./engines.js";

export class EngineProcess {
  timesMs = [];
  #child;
  #lines;
  #name;

  constructor(name) {
    this.#name = name;
    const [command, ...args] = commandOf(name);
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdin.on("error", () => {}); // the process has ended: its output's end says so
    this.#child.on("error", (error) => {
      this.spawnError = error;
    });
    this.ended = new Promise((resolve) => {
      this.#child.once("close", (code, signal) => resolve(signal ?? `code ${code}`));
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Sends a request; resolves to the answer. Throws where the engine reports an error or ends. */
  async ask(request) {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    for (;;) {
      const { value: line, done } = await this.#lines.next();
      if (done) throw this.spawnError ?? new Error(`the process ended (${await this.ended})`);
      if (!line.startsWith("{")) {
        process.stderr.write(`${this.#name}: ${line}\n`);
        continue;
      }
      const answer = JSON.parse(line);
      if (answer.error) throw new Error(answer.error);
      return answer;
    }
  }

  /** Sends the job; resolves to what the engine says of itself, {cannot} included. */
  async prepare(job, threads) {
    Object.assign(this, await this.ask({ job, threads, options: ENGINES[this.#name].options ?? {} }));
    return this;
  }

  async time() {
    const { timeMs, peakRssMb } = await this.ask({});
    this.timesMs.push(timeMs);
    this.peakRssMb = peakRssMb;
  }

  /** Lets the process end; resolves when its memory is free. */
  async close() {
    this.#child.stdin.end();
    const limit = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await this.ended;
    clearTimeout(limit);
  }
}
