/** Options that choose how to compute. */
import { UsageError } from "../core/errors.js";
import { BACKENDS, type BackendName } from "../runs/request.js";
import { parseWhole } from "./numbers.js";

/** As createEngine allows; more is a slip of the finger. */
const MAX_THREADS = 256;

/** @throws UsageError for anything but a whole number from 1 to 256. */
export function parseThreads(text: string): number {
  return parseWhole("--threads", text, 1, MAX_THREADS);
}

/** @throws UsageError for anything but a backend's name. */
export function parseBackend(text: string): BackendName {
  const name = BACKENDS.find((known) => known === text);
  if (name) return name;
  throw new UsageError(`verydeep: unknown backend (--backend ${text}). Use ${BACKENDS.join(" or ")}.`);
}
