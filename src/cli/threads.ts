/** Options that choose how to compute. */
import { UsageError } from "../core/errors.js";
import type { EngineOptions } from "../engine.js";
import { BACKENDS, type BackendName, TIERS, type TierName, type TrainRequest } from "../runs/request.js";
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
  throw new UsageError(
    `verydeep: unknown backend (--backend ${text}). Use ${BACKENDS.slice(0, -1).join(", ")} or ${BACKENDS.at(-1)}.`,
  );
}

/** What commander hands over of {@link addTierOptions}. */
export interface TierArguments {
  readonly tier?: TierName;
  readonly turbo?: true;
  readonly backend?: BackendName;
}

/** Adds `--backend`, `--tier` and `--turbo`, which every command with an engine has. */
export function addTierOptions(command: Command): Command {
  return command
    .option(
      "--backend <name>",
      `${BACKENDS.join(", ")} (default: auto): a GPU by WebGPU where it gains; reference is plain loops, slow`,
      parseBackend,
    )
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

/**
 * How a run goes on: on the backend and in the tier that computed it last, unless others are asked for; whoever asks for a tier, or for
 * another backend, leaves what belonged to the one before.
 */
export function resumedRequest(asked: TrainRequest, args: TierArguments, before: TierName | null): TrainRequest {
  const tier = tierOf(args);
  const backend = args.backend ?? (tier === undefined ? asked.backend : "wasm");
  return { ...asked, backend, tier: tier ?? (backend === "wasm" ? (before ?? asked.tier) : "auto") };
}

/** createEngine's options of what was asked for; what was not asked for is left out, so that `auto` may choose. */
export function engineOptions({
  backend = "auto",
  tier = "auto",
  threads,
}: {
  readonly backend?: BackendName | undefined;
  readonly tier?: TierName | undefined;
  readonly threads?: number | undefined;
}): Pick<EngineOptions, "backend" | "tier" | "threads"> {
  return {
    ...(backend === "auto" ? {} : { backend }),
    ...(tier === "auto" ? {} : { tier }),
    ...(threads === undefined ? {} : { threads }),
  };
}
