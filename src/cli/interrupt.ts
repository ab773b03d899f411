/** Ctrl-C and its kin while there is something to save: the first asks for a clean stop, the second stops at once. */
import { removeUnfinished } from "../io/atomic-file.js";
import type { Output } from "./output.js";

/** Exit codes that shells expect after a signal: 128 and its number. */
const EXIT_CODES = { SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;

/** Listens until it is disposed. */
export interface Interruption {
  /** Aborted by the first signal, or when whoever reads our output has gone. */
  readonly signal: AbortSignal;
  /** 130 or 143 after a signal, 141 when the reader has gone, 0 otherwise. */
  readonly exitCode: number;
  dispose(): void;
}

/** What the first signal says where there is something to save after a step. */
const AFTER_STEP = "Stopping after this step. Press Ctrl-C again to stop at once, without saving.";

/**
 * Begins to listen; until {@link Interruption.dispose}, signals do not end the process by themselves.
 * @param message what to tell at the first signal.
 */
export function listenForInterrupt(output: Output, message = AFTER_STEP): Interruption {
  const controller = new AbortController();
  let exitCode = 0;
  const onSignal = (name: NodeJS.Signals): void => {
    const code = name === "SIGTERM" ? EXIT_CODES.SIGTERM : EXIT_CODES.SIGINT;
    if (exitCode !== 0) {
      output.endProgress();
      process.exit(code);
    }
    exitCode = code;
    output.note(message);
    controller.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  output.onPipeClosed = () => {
    if (exitCode === 0) output.note("Nobody reads the output any more: stopping after this step.");
    exitCode ||= EXIT_CODES.SIGPIPE;
    controller.abort();
  };
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    dispose() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
      output.onPipeClosed = undefined;
    },
  };
}

/**
 * While there is nothing to save: a signal ends the process at once, with its exit code, and no half-written file stays. Returns how to stop
 * listening.
 */
export function exitOnInterrupt(output: Output): () => void {
  const onSignal = (name: NodeJS.Signals): void => {
    output.note("Stopped.");
    output.record({ interrupted: true });
    removeUnfinished();
    process.exit(name === "SIGTERM" ? EXIT_CODES.SIGTERM : EXIT_CODES.SIGINT);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return () => {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  };
}
