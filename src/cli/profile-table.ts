/** A profile for people and for programs: the table, and the entries of the JSON object. Pure functions of what was measured. */
import type { Phase } from "../core/program.js";
import type { KernelProfile } from "../profile/net-profile.js";
import { table } from "./numbers.js";

/** What was measured, and of what. */
export interface MeasuredNet {
  readonly kernels: readonly KernelProfile[];
  /** Median over the runs of a whole run. */
  readonly msMedian: number;
  /** What the machine multiplies at best. */
  readonly peakGflops: number;
  /** What people call a layer, by its module. */
  readonly paperNames: ReadonlyMap<string, string>;
}

/** Costs of one kernel, for programs. */
interface CostRecord {
  readonly algorithm: string;
  readonly ms: number;
  readonly gflops: number;
  readonly flops: number;
  readonly bytes: number;
}

/** One layer in one phase, for programs. */
export interface LayerRecord extends CostRecord {
  /** Its module; outside of modules, the operation. */
  readonly name: string;
  readonly paperName: string;
  readonly phase: Phase;
  /** Its kernels in the order in which they ran; the algorithm of the whole is that of the longest. */
  readonly kernels: readonly (CostRecord & { readonly op: string; readonly kernel: string; readonly output: string })[];
}

/** A line of the table, and what it is, for whoever colours it. */
export interface TableLine {
  readonly kind: "head" | "phase" | "row" | "total";
  readonly text: string;
}

const PHASES: readonly Phase[] = ["forward", "backward", "update"];
const MAX_COLUMNS = 120;
const NUMBERS: readonly string[] = ["ms", "of all", "GFLOP/s", "of peak", "MB", "GB/s"];
/** Where a number says nothing. */
const NOTHING = "-";

/** Layers in the order in which they ran, one entry for each phase. */
export function layerRecords({ kernels, paperNames }: MeasuredNet): LayerRecord[] {
  const layers = new Map<string, KernelProfile[]>();
  for (const kernel of kernels) {
    const key = `${kernel.phase} ${nameOf(kernel)}`;
    layers.set(key, [...(layers.get(key) ?? []), kernel]);
  }
  return [...layers.values()].map((group) => {
    const [first] = group;
    const { algorithm } = group.reduce((a, b) => (b.ms > a.ms ? b : a));
    return {
      name: nameOf(first),
      paperName: paperNames.get(first.module) ?? nameOf(first),
      phase: first.phase,
      ...costRecord({ ...sumOf(group), algorithm }),
      kernels: group.map((kernel) => {
        const { op, kernel: name, outputShape: output } = kernel;
        return { op, kernel: name, output, ...costRecord(kernel) };
      }),
    };
  });
}

interface Row {
  readonly kind: TableLine["kind"];
  readonly cells: readonly string[];
}

/**
 * The table: the head, a line for each kernel, and sums, at most 120 columns wide. Where a step has several phases, a section for each.
 */
export function profileLines(net: MeasuredNet): TableLine[] {
  const phases = PHASES.filter((phase) => net.kernels.some((kernel) => kernel.phase === phase));
  const several = phases.length > 1;
  const texts = ["layer", ...(several ? ["writes"] : []), "output", "algorithm"];
  const rows: Row[] = [];
  const add = (kind: Row["kind"], label: readonly string[], values: readonly string[]): void => {
    rows.push({ kind, cells: [...texts.map((_, i) => label[i] ?? ""), ...values] });
  };
  add("head", texts, NUMBERS);
  for (const phase of phases) {
    const kernels = net.kernels.filter((kernel) => kernel.phase === phase);
    if (several) add("phase", [phase], costCells(sumOf(kernels), net));
    for (const kernel of kernels) {
      const { writes, outputShape, algorithm } = kernel;
      const name = `${several ? "  " : ""}${layerName(kernel, net.paperNames)}`;
      const label = [name, ...(several ? [writes] : []), outputShape || "1", algorithm || NOTHING];
      add("row", label, costCells(kernel, net));
    }
  }
  add("total", ["total"], costCells({ ...sumOf(net.kernels), ms: net.msMedian }, net));
  const right = new Set(NUMBERS.map((_, i) => texts.length + i));
  return narrow(rows, right).map((text, i) => ({ kind: rows[i].kind, text }));
}

/** The rows as lines of at most 120 columns: names that are too long lose their beginning. */
function narrow(rows: readonly Row[], right: ReadonlySet<number>): string[] {
  const lines = table(
    rows.map(({ cells }) => cells),
    right,
  );
  const excess = Math.max(...lines.map((line) => line.length)) - MAX_COLUMNS;
  if (excess <= 0) return lines;
  const room = Math.max(...rows.map(({ cells: [name] }) => name.length)) - excess;
  const shorten = (name: string): string => (name.length <= room ? name : `  …${name.slice(name.length - room + 3)}`);
  return table(
    rows.map(({ cells: [name, ...rest] }) => [shorten(name), ...rest]),
    right,
  );
}

type Costs = Pick<KernelProfile, "ms" | "flops" | "bytes">;

/** What to call a kernel's layer: `conv1_1`, `conv1_1 + relu` where it does the next layer's work too. */
export function layerName(
  { module, op }: { module: string; op: string },
  paperNames: MeasuredNet["paperNames"],
): string {
  const fused = op.indexOf(" + ");
  return module === "" ? op : `${paperNames.get(module) ?? module}${fused < 0 ? "" : op.slice(fused)}`;
}

function nameOf({ module, op }: KernelProfile): string {
  return module || op;
}

function sumOf(kernels: readonly Costs[]): Costs {
  return kernels.reduce(
    (sum, { ms, flops, bytes }) => ({ ms: sum.ms + ms, flops: sum.flops + flops, bytes: sum.bytes + bytes }),
    { ms: 0, flops: 0, bytes: 0 },
  );
}

function costRecord({ algorithm, ms, flops, bytes }: Costs & { readonly algorithm: string }): CostRecord {
  return { algorithm, ms: rounded(ms), gflops: rounded(gflopsOf(flops, ms)), flops, bytes };
}

/** ms, share of the time, GFLOP/s, share of the peak, MB, GB/s. */
function costCells({ ms, flops, bytes }: Costs, { msMedian, peakGflops }: MeasuredNet): string[] {
  const gflops = gflopsOf(flops, ms);
  return [
    // About as many digits as mean something, and the same in all lines.
    ms.toFixed(msMedian >= 100 ? 2 : 3),
    `${((ms / msMedian) * 100).toFixed(1)} %`,
    gflops > 0 ? gflops.toFixed(1) : NOTHING,
    gflops > 0 ? `${Math.round((gflops / peakGflops) * 100)} %` : NOTHING,
    (bytes / 1e6).toFixed(2),
    ms > 0 ? (bytes / ms / 1e6).toFixed(1) : NOTHING,
  ];
}

/** Billions a second. */
export function gflopsOf(flops: number, ms: number): number {
  return ms > 0 ? flops / ms / 1e6 : 0;
}

/** As JSON shows it: three decimals, microseconds of a time in milliseconds. */
export function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
