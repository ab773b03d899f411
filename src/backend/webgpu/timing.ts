/**
 * Times dispatches: by stamps that the device writes, a compute pass for each; where it has none, by the host's clock around each of them.
 */
import type { CallTiming, Span } from "../backend.js";
import type { GpuMemory } from "./memory.js";
import type { Prepared } from "./pipelines.js";

/** A dispatch of a call, by the call's index. */
export interface TimedDispatch extends Prepared {
  readonly name: string;
  readonly call: number;
}

/** Dispatches in a set of queries, of which WebGPU allows 4096. */
const MAX_SET = 2048;
const NANOSECONDS = 1e6;

/** Runs all dispatches, and says when each call ran. `algorithmOf` a call by its index. */
export async function runTimed(
  device: GPUDevice,
  memory: GpuMemory,
  dispatches: readonly TimedDispatch[],
  algorithmOf: (call: number) => string,
): Promise<CallTiming[]> {
  const spans = device.features.has("timestamp-query")
    ? await stampedSpans(device, memory, dispatches)
    : await awaitedSpans(device, dispatches);
  const start = spans[0]?.beginMs ?? 0;
  const timings = new Map<number, (Span & { kernel: string })[]>();
  dispatches.forEach(({ call, name }, i) => {
    const launches = timings.get(call) ?? [];
    // Stamps are coarse in browsers: a dispatch begins no earlier than the one before it ended.
    launches.push({
      kernel: name,
      beginMs: spans[i].beginMs - start,
      endMs: Math.max(spans[i].beginMs, spans[i].endMs) - start,
    });
    timings.set(call, launches);
  });
  return [...timings].map(([call, launches]) => ({
    beginMs: launches[0].beginMs,
    endMs: launches[launches.length - 1].endMs,
    algorithm: algorithmOf(call),
    launches,
  }));
}

async function stampedSpans(
  device: GPUDevice,
  memory: GpuMemory,
  dispatches: readonly TimedDispatch[],
): Promise<Span[]> {
  const spans: Span[] = [];
  let zero: bigint | null = null;
  for (let first = 0; first < dispatches.length; first += MAX_SET) {
    const part = dispatches.slice(first, first + MAX_SET);
    const querySet = device.createQuerySet({ type: "timestamp", count: part.length * 2 });
    const sizeBytes = part.length * 16;
    const resolved = memory.stamps(sizeBytes);
    const staging = memory.readBack(sizeBytes);
    const encoder = device.createCommandEncoder();
    part.forEach((dispatch, i) => {
      const timestampWrites = { querySet, beginningOfPassWriteIndex: i * 2, endOfPassWriteIndex: i * 2 + 1 };
      encodePass(encoder, dispatch, { timestampWrites });
    });
    encoder.resolveQuerySet(querySet, 0, part.length * 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, sizeBytes);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(1);
    const stamps = new BigUint64Array(staging.getMappedRange().slice(0));
    for (const each of [staging, resolved, querySet]) each.destroy();
    zero ??= stamps[0];
    const start = zero;
    for (let i = 0; i < part.length; i++) {
      const [beginMs, endMs] = [stamps[i * 2], stamps[i * 2 + 1]].map((stamp) => Number(stamp - start) / NANOSECONDS);
      const before = spans.at(-1)?.endMs ?? 0;
      spans.push({ beginMs: Math.max(before, beginMs), endMs: Math.max(before, beginMs, endMs) });
    }
  }
  return spans;
}

async function awaitedSpans(device: GPUDevice, dispatches: readonly TimedDispatch[]): Promise<Span[]> {
  const spans: Span[] = [];
  for (const dispatch of dispatches) {
    const encoder = device.createCommandEncoder();
    encodePass(encoder, dispatch);
    const beginMs = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    spans.push({ beginMs, endMs: performance.now() });
  }
  return spans;
}

function encodePass(encoder: GPUCommandEncoder, dispatch: Prepared, options: GPUComputePassDescriptor = {}): void {
  const pass = encoder.beginComputePass(options);
  pass.setPipeline(dispatch.pipeline);
  pass.setBindGroup(0, dispatch.bindGroup);
  pass.dispatchWorkgroups(...dispatch.workgroups);
  pass.end();
}
