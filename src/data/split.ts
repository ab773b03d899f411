/** Cuts labelled pictures in three at random, each class in proportion. */
import { DataError } from "../core/errors.js";
import { Random } from "../core/random.js";
import { partCount } from "./dataset.js";

/** Part of all pictures that is for testing where a data set does not say which. */
export const TEST_FRACTION = 1 / 6;

/** Places in the set of the pictures of each part, ascending. */
export interface ThreeParts {
  readonly train: Int32Array;
  readonly validation: Int32Array;
  readonly test: Int32Array;
}

/**
 * Cuts in three: a random choice that depends on the seed and the labels alone, from {@link mixedLine}.
 * @param options `testFraction` is part of all, `validationFraction` of the rest.
 * @throws UsageError for fractions that are not between 0 and 1; DataError for fewer than three pictures.
 */
export function splitThree(
  op: string,
  labels: Uint16Array,
  options: { readonly seed: number; readonly validationFraction: number; readonly testFraction: number },
): ThreeParts {
  const count = labels.length;
  if (count < 3) {
    throw new DataError(`${op}: too few pictures to split in three (count ${count}). Pass at least three.`);
  }
  const testCount = Math.min(partCount(op, "testFraction", count, options.testFraction), count - 2);
  const validationCount = partCount(op, "validationFraction", count - testCount, options.validationFraction);
  const line = mixedLine(labels, options.seed);
  return {
    test: line.slice(0, testCount).sort(),
    validation: line.slice(testCount, testCount + validationCount).sort(),
    train: line.slice(testCount + validationCount).sort(),
  };
}

/**
 * All places, lined up at random so that any stretch has about its share of each class: picture r of the n of its class, in random order,
 * stands at (r + 1/2) / n. A class with few pictures has its last one in the second half.
 */
export function mixedLine(labels: Uint16Array, seed: number): Int32Array {
  const byClass = new Map<number, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const places = byClass.get(labels[i]);
    if (places === undefined) byClass.set(labels[i], [i]);
    else places.push(i);
  }
  const source = new Random(seed, "split");
  const line: { readonly place: number; readonly position: number }[] = [];
  for (const [label, places] of byClass) {
    source.fork(label).shuffle(places);
    for (const [rank, place] of places.entries()) line.push({ place, position: (rank + 0.5) / places.length });
  }
  line.sort((a, b) => a.position - b.position || a.place - b.place);
  return Int32Array.from(line, ({ place }) => place);
}
