/**
 * Numbers between people and the program: strict reading of arguments, plain writing of results. Pure functions.
 */
import { UsageError } from "../core/errors.js";

/**
 * A whole number from min to max, written in decimal digits.
 * @param flag what the user wrote before it, such as `--epochs`.
 * @throws UsageError
 */
export function parseWhole(flag: string, text: string, min: number, max: number): number {
  const value = /^\+?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(
    `verydeep: not a whole number from ${min} to ${max} (${flag} ${text}). Pass one, such as ${flag} ${example(min, max)}.`,
  );
}

/**
 * A decimal number above `above` and at most `max`: 0.05, 5e-2, 1.
 * @throws UsageError
 */
export function parseNumber(flag: string, text: string, above: number, max: number): number {
  const value = /^\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (value > above && value <= max) return value;
  throw new UsageError(
    `verydeep: not a number above ${above} and at most ${max} (${flag} ${text}). Pass one, such as ${flag} ${Math.min(max, 0.1)}.`,
  );
}

/** 1234567 as 1,234,567. */
export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** A share of 1 as a percentage: 0.9534 as "95.3 %". */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** A span of time: 7.3 s, 2 min 05 s, 1 h 02 min. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const pad = (part: number): string => String(part).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}

/** Bytes in the unit that fits: 600 B, 583 kB, 553.4 MB. */
export function byteSize(bytes: number): string {
  if (bytes < 1e3) return `${bytes} B`;
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Rows as lines with aligned columns; `right` names the columns of numbers. */
export function table(rows: readonly (readonly string[])[], right: ReadonlySet<number>): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (right.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join("  ")
      .trimEnd(),
  );
}

function example(min: number, max: number): number {
  return Math.min(max, Math.max(min, 2));
}
