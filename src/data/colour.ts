/**
 * The random colour shift of Krizhevsky, Sutskever and Hinton 2012 (section 4.1), which the paper uses too: each picture's colour moves
 * along the principal axes of the colours of the training set. Owns the principal axes (Jacobi's method, plain arithmetic) and the draw.
 */
import { UsageError } from "../core/errors.js";
import type { Random } from "../core/random.js";
import type { Normalise } from "./dataset.js";
import { normaliseTable } from "./transforms.js";

/**
 * `shift[c] = sum over k of components[c][k] · alpha[k] · deviations[k]`, in units of bytes, with alpha[k] normal, mean 0, deviation `std`,
 * drawn once for each picture and use.
 */
export interface ColourShift {
  /** Eigenvectors of the covariance of R, G, B, as columns: `components[channel][k]`, the greatest eigenvalue first. */
  readonly components: readonly (readonly number[])[];
  /**
   * 255 · eigenvalue of the covariance of colours in 0..1: the paper's `p · (alpha · lambda)`, which is meant for such colours, in bytes.
   * (Eigenvalues of the covariance in bytes would be 255^2 larger, and shift by a thousand levels.)
   */
  readonly deviations: readonly number[];
  /** Of alpha; 0.1 in the paper. */
  readonly std: number;
}

/** @throws UsageError for a shift that is not of three channels and finite, or pictures that are not RGB. */
export function checkColourShift(op: string, { components, deviations, std }: ColourShift, channels: number): void {
  if (channels !== 3) {
    throw new UsageError(
      `${op}: a colour shift is for RGB pictures only (channels ${channels}). Leave colourShift out.`,
    );
  }
  const numbers = [...components.flat(), ...deviations, std];
  if (
    components.length !== 3 ||
    components.some((row) => row.length !== 3) ||
    deviations.length !== 3 ||
    !numbers.every(Number.isFinite)
  ) {
    throw new UsageError(
      `${op}: the colour shift is not 3 x 3 components, 3 deviations and a std, all finite ` +
        `(components ${components.length}, deviations ${deviations.length}, std ${std}). Pass what trainingStatistics returns.`,
    );
  }
}

/** One random shift of R, G, B, in bytes: three normal numbers of the stream. */
export function drawShift({ components, deviations, std }: ColourShift, random: Random): number[] {
  const amounts = deviations.map((deviation) => std * random.normal() * deviation);
  return components.map((row) => row[0] * amounts[0] + row[1] * amounts[1] + row[2] * amounts[2]);
}

/** The table of {@link normaliseTable} for pictures to whose pixels `shift[c]` is added first; nothing is clipped to 0..255. */
export function shiftedTable({ mean, std }: Normalise, shift: readonly number[]): Float32Array {
  return normaliseTable({ mean: mean.map((value, c) => value - shift[c]), std }, shift.length);
}

/** Sums over pixels from which colour statistics follow; whole numbers, so their order does not matter. */
export interface ColourSums {
  readonly pixels: bigint;
  /** Of R, G, B. */
  readonly sums: readonly bigint[];
  /** Of the products RR, RG, RB, GG, GB, BB. */
  readonly products: readonly bigint[];
}

/** Sums over nothing. */
export function noColours(): ColourSums {
  return { pixels: 0n, sums: [0n, 0n, 0n], products: [0n, 0n, 0n, 0n, 0n, 0n] };
}

/** Sums of R, G, B, RR, RG, RB, GG, GB, BB of one RGB picture; below 2^53 up to 10^11 pixels. Channel c of pixel i is at `c * channelStep + i * pixelStep`. */
export function planeSums(pixels: Uint8Array, channelStep: number, pixelStep: number): number[] {
  let [r1, g1, b1, rr, rg, rb, gg, gb, bb] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  const count = pixels.length / 3;
  for (let i = 0, at = 0; i < count; i++, at += pixelStep) {
    const r = pixels[at];
    const g = pixels[at + channelStep];
    const b = pixels[at + 2 * channelStep];
    r1 += r;
    g1 += g;
    b1 += b;
    rr += r * r;
    rg += r * g;
    rb += r * b;
    gg += g * g;
    gb += g * b;
    bb += b * b;
  }
  return [r1, g1, b1, rr, rg, rb, gg, gb, bb];
}

/** The sums with those of one picture, as {@link planeSums} gives them, added. */
export function addColours(colours: ColourSums, part: readonly number[], pixels: number): ColourSums {
  return {
    pixels: colours.pixels + BigInt(pixels),
    sums: colours.sums.map((sum, c) => sum + BigInt(part[c])),
    products: colours.products.map((sum, k) => sum + BigInt(part[3 + k])),
  };
}

/** Mean and standard deviation (of the population) of R, G, B in bytes; 1 for a constant channel, so that normalising gives zeros. */
export function meanAndStd(colours: ColourSums): { mean: number[]; std: number[] } {
  const covariance = colourCovariance(colours);
  return {
    mean: colours.sums.map((sum) => Number(sum) / Number(colours.pixels)),
    std: covariance.map((row, c) => (row[c] > 0 ? Math.sqrt(row[c]) : 1)),
  };
}

/** The shift whose axes and sizes are those of the colours summed; std 0.1, as in the paper. */
export function colourShiftOf(colours: ColourSums): ColourShift {
  const { vectors, values } = eigenSymmetric3(colourCovariance(colours));
  return { components: vectors, deviations: values.map((value) => Math.max(value, 0) / 255), std: 0.1 };
}

/** Covariance (of the population) of R, G, B in bytes; exact but for one rounding each. */
function colourCovariance({ pixels, sums, products }: ColourSums): number[][] {
  const place = [
    [0, 1, 2],
    [1, 3, 4],
    [2, 4, 5],
  ];
  return place.map((row, a) =>
    row.map((at, b) => Number(pixels * products[at] - sums[a] * sums[b]) / Number(pixels * pixels)),
  );
}

/** Cyclic Jacobi converges quadratically; for 3 x 3 five sweeps reach the last bit, the rest is reserve. */
const MAX_SWEEPS = 30;

/**
 * Eigenvalues and eigenvectors of a symmetric 3 x 3 matrix by cyclic Jacobi rotations (Golub and Van Loan, section 8.5).
 * @returns `values`, greatest first, and `vectors[row][k]`; of each vector the component of greatest size is positive.
 */
export function eigenSymmetric3(matrix: readonly (readonly number[])[]): { values: number[]; vectors: number[][] } {
  const a = matrix.map((row) => [...row]);
  const v = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ];
  const pairs: readonly (readonly [number, number])[] = [
    [0, 1],
    [0, 2],
    [1, 2],
  ];
  for (let sweep = 0; sweep < MAX_SWEEPS && pairs.some(([p, q]) => a[p][q] !== 0); sweep++) {
    for (const [p, q] of pairs) rotate(a, v, p, q);
  }
  const order = [0, 1, 2].sort((i, j) => a[j][j] - a[i][i] || i - j);
  const signs = order.map((k) => {
    const column = [v[0][k], v[1][k], v[2][k]];
    const sizes = column.map(Math.abs);
    return column[sizes.indexOf(Math.max(...sizes))] < 0 ? -1 : 1;
  });
  return { values: order.map((k) => a[k][k]), vectors: v.map((row) => order.map((k, i) => row[k] * signs[i])) };
}

/** Makes a[p][q] zero by a rotation in the plane of p and q; `v` collects the rotations. */
function rotate(a: number[][], v: number[][], p: number, q: number): void {
  const entry = a[p][q];
  if (entry === 0) return;
  const gap = a[q][q] - a[p][p];
  // Too small to change either neighbour on the diagonal: zero already.
  if (Math.abs(entry) < 1e-17 * (Math.abs(a[p][p]) + Math.abs(a[q][q]))) {
    a[p][q] = 0;
    a[q][p] = 0;
    return;
  }
  const tau = gap / (2 * entry);
  const t = (tau >= 0 ? 1 : -1) / (Math.abs(tau) + Math.sqrt(1 + tau * tau));
  const c = 1 / Math.sqrt(1 + t * t);
  const s = t * c;
  for (let k = 0; k < 3; k++) {
    const [kp, kq] = [a[k][p], a[k][q]];
    a[k][p] = c * kp - s * kq;
    a[k][q] = s * kp + c * kq;
  }
  for (let k = 0; k < 3; k++) {
    const [pk, qk] = [a[p][k], a[q][k]];
    a[p][k] = c * pk - s * qk;
    a[q][k] = s * pk + c * qk;
    const [vp, vq] = [v[k][p], v[k][q]];
    v[k][p] = c * vp - s * vq;
    v[k][q] = s * vp + c * vq;
  }
  a[p][q] = 0;
  a[q][p] = 0;
}
