/** Values over steps, thinned so that a run of any length is drawn from at most a thousand points a curve. Pure functions. */

export interface Sample {
  readonly step: number;
  readonly value: number;
}

/** Most points of a curve. */
export const MAX_POINTS = 1000;

/**
 * The smallest and the largest value of each bin, in the order in which they came: a curve of at most `limit` points that keeps
 * every extreme. Series that are short enough stay as they are. Values that are not finite stand for a gap where a bin has no other.
 */
export function thinExtremes(samples: readonly Sample[], limit = MAX_POINTS): Sample[] {
  if (samples.length <= limit) return [...samples];
  return bins(samples, Math.ceil((2 * samples.length) / limit)).flatMap((bin) => {
    const finite = bin.filter(hasValue);
    if (finite.length === 0) return [{ step: bin[0].step, value: Number.NaN }];
    const low = finite.reduce((a, b) => (b.value < a.value ? b : a));
    const high = finite.reduce((a, b) => (b.value > a.value ? b : a));
    if (low === high) return [low];
    return low.step < high.step ? [low, high] : [high, low];
  });
}

/** The mean of the finite values of each bin of `size` samples, at the bin's middle; NaN, a gap, where there is none. */
export function binMeans(samples: readonly Sample[], size: number): Sample[] {
  return bins(samples, size).map((bin) => {
    const finite = bin.filter(hasValue);
    const sum = finite.reduce((total, { value }) => total + value, 0);
    return { step: (bin[0].step + bin[bin.length - 1].step) / 2, value: sum / finite.length };
  });
}

/** Runs of finite values: the pieces of a curve with gaps. */
export function pieces(samples: readonly Sample[]): Sample[][] {
  const found: Sample[][] = [];
  let open = false;
  for (const sample of samples) {
    if (!hasValue(sample)) open = false;
    else if (open) found[found.length - 1].push(sample);
    else {
      found.push([sample]);
      open = true;
    }
  }
  return found;
}

/** Runs of values that are not finite, as first and last step. */
export function badRuns(samples: readonly Sample[]): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = [];
  let open = false;
  for (const sample of samples) {
    if (hasValue(sample)) open = false;
    else if (open) found[found.length - 1].to = sample.step;
    else {
      found.push({ from: sample.step, to: sample.step });
      open = true;
    }
  }
  return found;
}

function hasValue({ value }: Sample): boolean {
  return Number.isFinite(value);
}

function bins(samples: readonly Sample[], size: number): Sample[][] {
  const found: Sample[][] = [];
  for (let at = 0; at < samples.length; at += size) found.push(samples.slice(at, at + size));
  return found;
}
