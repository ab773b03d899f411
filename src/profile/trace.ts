/**
 * A profile as a Chrome trace (Trace Event Format), for chrome://tracing and ui.perfetto.dev: one row a phase, a bar a kernel call, and
 * under it what the backend ran for it. Pure functions; equal profiles give equal objects.
 */
import type { ProfiledCall } from "../core/profile.js";
import type { Phase } from "../core/program.js";

/** One event of the format. Times are in microseconds. */
export interface TraceEvent {
  readonly name: string;
  /** X: a bar; M: a name of a row. */
  readonly ph: "X" | "M";
  readonly pid: number;
  readonly tid: number;
  readonly cat?: string;
  readonly ts?: number;
  readonly dur?: number;
  readonly args: Readonly<Record<string, string | number>>;
}

/** The whole file, once it is written as JSON. */
export interface ChromeTrace {
  readonly displayTimeUnit: "ms";
  readonly otherData: Readonly<Record<string, string | number>>;
  readonly traceEvents: readonly TraceEvent[];
}

const PID = 1;
/** Rows, from the top. */
const ROWS: readonly Phase[] = ["forward", "backward", "update"];

/**
 * The trace of one run.
 * @param about what was profiled, for the file's metadata; `title` names the trace.
 * @param nameOf what to call a call; default its module, or its operation outside of modules.
 */
export function chromeTrace(
  calls: readonly ProfiledCall[],
  about: Readonly<{ title: string } & Record<string, string | number>>,
  nameOf: (call: ProfiledCall) => string = ({ module, op }) => module || op,
): ChromeTrace {
  const { title, ...otherData } = about;
  const used = ROWS.filter((phase) => calls.some((call) => call.phase === phase));
  return {
    displayTimeUnit: "ms",
    otherData,
    traceEvents: [
      metadata("process_name", 0, { name: title }),
      ...used.flatMap((phase) => [
        metadata("thread_name", rowOf(phase), { name: phase }),
        metadata("thread_sort_index", rowOf(phase), { sort_index: rowOf(phase) }),
      ]),
      ...calls.flatMap((call) => callEvents(call, nameOf(call))),
    ],
  };
}

function callEvents(call: ProfiledCall, name: string): TraceEvent[] {
  const { op, module, phase, kernel, algorithm, shape, flops, bytes, ms, launches } = call;
  const rates = ms > 0 ? { gflops: round(flops / ms / 1e6), "GB/s": round(bytes / ms / 1e6) } : {};
  const args = { op, module, kernel, ...(algorithm ? { algorithm } : {}), shape, flops, bytes, ...rates };
  return [
    bar(`${name} ${kernel}`, phase, call, args),
    ...launches.map((launch) => bar(launch.kernel, phase, launch, { kernel: launch.kernel })),
  ];
}

function bar(name: string, phase: Phase, span: { beginMs: number; ms: number }, args: TraceEvent["args"]): TraceEvent {
  const times = { ts: round(span.beginMs * 1000), dur: round(span.ms * 1000) };
  return { name, ph: "X", pid: PID, tid: rowOf(phase), cat: phase, ...times, args };
}

function metadata(name: string, tid: number, args: TraceEvent["args"]): TraceEvent {
  return { name, ph: "M", pid: PID, tid, args };
}

function rowOf(phase: Phase): number {
  return ROWS.indexOf(phase) + 1;
}

/** Three decimals: nanoseconds of a time in microseconds. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
