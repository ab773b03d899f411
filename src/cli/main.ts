#!/usr/bin/env node
/**
 * The program `verydeep`: joins the command line (program.ts) to this process: its arguments, streams, exit code.
 */
import { Output } from "./output.js";
import { asksForJson, runCommandLine } from "./program.js";

const args = process.argv.slice(2);
const output = new Output({
  json: asksForJson(args),
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
});

// A reader that has seen enough (| head) closes the pipe; that is no error. Whoever has something to save does that first.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") {
    process.stderr.write(`verydeep: the output cannot be written (${error.message}). Free some space.\n`);
    process.exit(1);
  }
  if (output.onPipeClosed) output.onPipeClosed();
  else process.exit(0);
});

process.stderr.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

process.exitCode = await runCommandLine(args, output);
