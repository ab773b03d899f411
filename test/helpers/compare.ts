/** How far a result is from the truth. */

type Numbers = ArrayLike<number>;

/**
 * The largest difference, relative to the largest |expected|; absolute where nothing but 0 is expected.
 * Equal values (equal infinities, two NaNs) differ by 0; NaN against a number counts as infinite.
 */
export function maxRelativeError(actual: Numbers, expected: Numbers): number {
  if (actual.length !== expected.length) {
    throw new Error(`lengths differ: ${actual.length} values, ${expected.length} expected`);
  }
  let largest = 0;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    if (Number.isFinite(expected[i])) largest = Math.max(largest, Math.abs(expected[i]));
    if (Object.is(actual[i], expected[i])) continue;
    const difference = Math.abs(actual[i] - expected[i]);
    worst = Math.max(worst, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
  }
  return largest > 0 ? worst / largest : worst;
}

/** The same values, NaN included; 0 and -0 differ. */
export function sameValues(a: Numbers, b: Numbers): boolean {
  return a.length === b.length && Array.from(a).every((value, i) => Object.is(value, b[i]));
}
