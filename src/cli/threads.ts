/** Options that choose how to compute. */
import { UsageError } from "../core/errors.js";
import { BACKENDS, type BackendName, TIERS, type TierName } from "../runs/request.js";
import type { Command } from "../vendor/command-line.js";
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

/** What commander hands over of {@link addTierOptions}. */
export interface TierArguments {
  readonly tier?: TierName;
  readonly turbo?: true;
}

/** Adds `--tier` and `--turbo`, which every command with an engine has. */
export function addTierOptions(command: Command): Command {
  return command
    .option(
      "--tier <name>",
      `kernels: ${TIERS.join(", ")} (default: auto); plain has the same bits everywhere`,
      parseTier,
    )
    .option("--turbo", "the same as --tier turbo: 256-bit vectors, Node 24 on x86-64 alone");
}

/**
 * The tier that was asked for; undefined where none was.
 * @throws UsageError where the two options name different ones.
 */
export function tierOf({ tier, turbo }: TierArguments): TierName | undefined {
  if (turbo && tier !== undefined && tier !== "turbo") {
    throw new UsageError(`verydeep: two tiers are asked for (--turbo beside --tier ${tier}). Leave one of them out.`);
  }
  return turbo ? "turbo" : tier;
}

/** @throws UsageError for anything but a tier's name. */
function parseTier(text: string): TierName {
  const name = TIERS.find((known) => known === text);
  if (name) return name;
  throw new UsageError(`verydeep: unknown tier (--tier ${text}). Use ${TIERS.join(", ")}.`);
}
