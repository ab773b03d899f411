/**
 * The start-up check of the turbo tier: its wide code against its 128-bit code, on the products that nearly all arithmetic goes
 * through. V8 compiles a function with its baseline compiler first, which makes no wide vectors, and replaces it while it runs. So
 * the first run gives what all others are compared with, and they go on until optimised code has run for a while.
 */
import { BackendError } from "../../core/errors.js";
import { Random } from "../../core/random.js";
import type { Conv2dShape, KernelCall } from "../backend.js";
import type { WorkerSetup } from "./executor.js";
import { instantiate } from "./instantiate.js";
import { derivedOf, type Launch, lower, scratchBytes } from "./lowering.js";
import { Arena, createMemory, type WasmBuffer } from "./memory.js";
import { type Kernel, tableBytes, walk, writeTable } from "./program-table.js";

/** The check's own memory, which is dropped after it. */
const MEMORY_BYTES = 32 * 2 ** 20;
/** Optimised code comes within 20 ms (Node 24, one core); the rest of the time runs it. */
const LEAST_MS = 60;
/** On a busy machine it may come later, but start-up must not wait for ever. */
const MOST_MS = 500;
/** Optimised code is 4 to 5 times as fast as the baseline compiler's. */
const OPTIMISED = 2;

/** Rows, columns and terms that no tile divides. */
const CONV2D: Conv2dShape = {
  ...{ batch: 2, inC: 37, inH: 15, inW: 15, outC: 22, outH: 15, outW: 15, kH: 3, kW: 3 },
  ...{ strideH: 1, strideW: 1, padH: 1, padW: 1, dilationH: 1, dilationW: 1, groups: 1 },
};
const LINEAR = { batch: 21, inFeatures: 301, outFeatures: 45 };

/** Runs the checked calls and returns the bits of all they wrote. */
type Check = (kernels: readonly Kernel[]) => Int32Array;

/** @throws BackendError where the wide code gives other bits than the 128-bit code. */
export async function checkWideCode(setup: Omit<WorkerSetup, "memory" | "wide">, shared: boolean): Promise<void> {
  const { memory, maxBytes } = createMemory(shared, MEMORY_BYTES);
  const check = prepare(memory, new Arena(memory, maxBytes), setup.kernelNames);
  const narrow = await instantiate({ ...setup, memory, wide: false });
  const wide = await instantiate({ ...setup, memory, wide: true });
  compareRuns(check, narrow, wide);
}

/** Runs narrow and wide kernels until both are optimised. @throws BackendError at the first bit that differs. */
export function compareRuns(check: Check, narrow: readonly Kernel[], wide: readonly Kernel[]): void {
  const begin = performance.now();
  const expected = check(narrow);
  const firstMs = performance.now() - begin;
  let fastestMs = firstMs;
  for (;;) {
    const runBegin = performance.now();
    const passed = runBegin - begin;
    if (passed > MOST_MS || (passed > LEAST_MS && fastestMs * OPTIMISED < firstMs)) return;
    const found = check(wide);
    fastestMs = Math.min(fastestMs, performance.now() - runBegin);
    if (!sameBits(found, expected) || !sameBits(check(narrow), expected)) {
      throw new BackendError(
        "wasm: this machine's 256-bit code gives other results than its 128-bit code (tier turbo). Use tier relaxed, or plain.",
      );
    }
  }
}

function sameBits(a: Int32Array, b: Int32Array): boolean {
  return a.every((bits, i) => bits === b[i]);
}

/** Convolution by both algorithms in all directions, and linear layers, on random numbers. */
function prepare(memory: WebAssembly.Memory, arena: Arena, kernelNames: readonly string[]): Check {
  const random = new Random(1, "self-check");
  const allocate = (floats: number): WasmBuffer => arena.allocate(floats * 4, "the check of the turbo tier");
  const inputs = (floats: number): number => {
    const { address } = allocate(floats);
    // Allocating grows the memory, which makes new buffers.
    new Float32Array(memory.buffer, address, floats).set(
      Float32Array.from({ length: floats }, () => random.uniform() - 0.5),
    );
    return address;
  };
  const results: WasmBuffer[] = [];
  const output = (floats: number): number => {
    const buffer = allocate(floats);
    results.push(buffer);
    return buffer.address;
  };

  const { batch, inC, inH, inW, outC, outH, outW, kH, kW } = CONV2D;
  const [xFloats, weightFloats, yFloats] = [batch * inC * inH * inW, outC * inC * kH * kW, batch * outC * outH * outW];
  const [x, weight, dy] = [inputs(xFloats), inputs(weightFloats), inputs(yFloats)];
  const flat = { x: inputs(LINEAR.batch * LINEAR.inFeatures), weight: inputs(LINEAR.outFeatures * LINEAR.inFeatures) };

  const launches: Launch[] = [];
  const add = (call: KernelCall<number>, convAlgorithm: "im2col" | "winograd4"): void => {
    const options = { convAlgorithm, threads: 1 };
    const place = (bytes: number): number => (bytes === 0 ? 0 : allocate(bytes / 4).address);
    const derived = { address: place(derivedOf(call, options)?.partBytes ?? 0), kept: false, fresh: false };
    launches.push(...lower(call, place(scratchBytes(call, options)), derived, options));
  };
  for (const algorithm of ["im2col", "winograd4"] as const) {
    const forward = { x, weight, bias: null, y: output(yFloats) };
    add({ kernel: "conv2dForward", shape: { ...CONV2D, relu: false }, tensors: forward }, algorithm);
    const backward = { dy, weight, bias: null, mask: null, dx: output(xFloats) };
    add({ kernel: "conv2dBackwardInput", shape: CONV2D, tensors: backward }, algorithm);
    const gradient = { x, dy, dWeight: output(weightFloats) };
    add({ kernel: "conv2dBackwardWeight", shape: { ...CONV2D, accumulate: false }, tensors: gradient }, algorithm);
  }
  const linear = { ...flat, bias: null, y: output(LINEAR.batch * LINEAR.outFeatures) };
  add({ kernel: "linearForward", shape: { ...LINEAR, relu: false }, tensors: linear }, "im2col");

  const scratch = allocate(Math.max(...launches.map(({ workerBytes }) => workerBytes)) / 4).address;
  const table = arena.allocate(tableBytes(launches), "the check of the turbo tier").address;
  const kernelIndex = new Map(kernelNames.map((name, index) => [name, index]));
  return (kernels) => {
    const bits = results.map(({ address, sizeBytes }) => new Int32Array(memory.buffer, address, sizeBytes / 4));
    // What an earlier run left must not pass for a result.
    for (const result of bits) result.fill(-1);
    writeTable(memory.buffer, table, launches, kernelIndex);
    walk(memory, kernels, { table, begin: 0, end: launches.length, scratch, memoryBytes: memory.buffer.byteLength });
    const all = new Int32Array(bits.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const result of bits) {
      all.set(result, at);
      at += result.length;
    }
    return all;
  };
}
