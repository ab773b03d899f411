/** Axes: which part of the numbers a panel shows, where a value lies on it, and which round values are named. */
import { nice, ticks } from "../vendor/ticks.js";

export interface Axis {
  /** Where a value lies: 0 at the lower end, 1 at the upper. */
  place(value: number): number;
  readonly ticks: readonly number[];
  /** How a tick is written. */
  label(tick: number): string;
}

/** An even axis over the finite values, widened to round numbers where `round`. All alike: a span around; no value, or all 0: 0 to 1. */
export function linearAxis(values: readonly number[], count: number, round = true): Axis {
  let [low, high] = extent(values) ?? [0, 1];
  if (low === high) {
    const margin = Math.abs(low) / 2;
    [low, high] = margin > 0 ? [low - margin, high + margin] : [0, 1];
  }
  if (round) [low, high] = nice(low, high, count);
  return { place: (value) => (value - low) / (high - low), ticks: ticks(low, high, count), label: plain };
}

/** An axis of factors over the finite values above 0: ticks at powers of ten, and between them where these are few. */
export function logAxis(values: readonly number[], count: number): Axis {
  let [low, high] = extent(values.filter((value) => value > 0)) ?? [0.1, 1];
  if (high / low < 4) [low, high] = [low / 2, high * 2];
  const span = Math.log10(high / low);
  const powers = range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)));
  const inside = [[1], [1, 3], [1, 2, 5]]
    .map((digits) => powers.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`))))
    .map((values) => values.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)))
    .reduce((fewer, more) => (fewer.length >= 2 ? fewer : more));
  const every = Math.ceil(inside.length / (count + 1));
  return {
    place: (value) => (value > 0 ? Math.log10(value / low) / span : Number.NaN),
    ticks: inside.filter((_, i) => i % every === 0),
    label: plain,
  };
}

/** 0.25, 1,500, 2e-7. */
export function plain(value: number): string {
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential().replace("e+", "e");
  const [whole, ...fraction] = String(Number(value.toPrecision(12))).split(".");
  return [whole.replace(/\B(?=(\d{3})+(?!\d))/g, ","), ...fraction].join(".");
}

/** Smallest and largest finite value; null where there is none. */
export function extent(values: readonly number[]): [number, number] | null {
  const finite = values.filter((value) => Number.isFinite(value));
  if (finite.length === 0) return null;
  return finite.reduce<[number, number]>(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [finite[0], finite[0]]);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
