/** The statistics of the training pictures in config.json: a resumed run must not measure them again. */
import { UsageError } from "../core/errors.js";
import type { TrainingStatistics } from "../data/statistics.js";

/**
 * Statistics from JSON.
 * @throws UsageError for a number that is missing.
 */
export function parseStatistics(json: Readonly<Record<string, unknown>>, file: string): TrainingStatistics {
  const wrong = (name: string, value: unknown): UsageError =>
    new UsageError(
      `train: the statistics in ${file} are wrong (${name} ${JSON.stringify(value)}). Begin the run anew.`,
    );
  const numbers = (name: string, value: unknown): number[] => {
    if (Array.isArray(value) && value.every((item) => typeof item === "number")) return value;
    throw wrong(name, value);
  };
  const { mean, std, colour } = json;
  if (colour === undefined) return { mean: numbers("mean", mean), std: numbers("std", std), colour: undefined };
  if (typeof colour !== "object" || colour === null) throw wrong("colour", colour);
  const parts: { components?: unknown; deviations?: unknown; std?: unknown } = colour;
  if (!Array.isArray(parts.components) || typeof parts.std !== "number") throw wrong("colour", colour);
  return {
    mean: numbers("mean", mean),
    std: numbers("std", std),
    colour: {
      components: parts.components.map((row) => numbers("colour", row)),
      deviations: numbers("colour", parts.deviations),
      std: parts.std,
    },
  };
}
