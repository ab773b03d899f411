/**
 * A program as workers see it: a table of launches in shared memory, each with its two counters, and the walk over it.
 *
 *   control block (address 0)   word 0: abort
 *   table                       per launch LAUNCH_WORDS words: kernel, grains, args, taken, done, begin, end, (unused)
 *   records                     the launches' argument records
 *
 * Grains are taken by counting `taken` up, several at a time where there are very many; a launch is done when `done` reaches its
 * grains. There is no barrier of a fixed party: whoever is there makes progress. All waits look at the abort word and time out.
 * Whoever takes the first grain of a launch and whoever finishes its last one look at the clock: two looks a launch, always.
 */
import type { Span } from "../backend.js";
import type { Launch } from "./lowering.js";

/** Words (4 bytes) of one launch. */
const LAUNCH_WORDS = 8;
const KERNEL = 0;
const GRAINS = 1;
const ARGS = 2;
const TAKEN = 3;
const DONE = 4;
const BEGIN = 5;
const END = 6;

/** Word of the control block that stops all workers. */
export const ABORT_WORD = 0;

/** Looks at the counter before a worker goes to sleep: some 20 microseconds, more than most launches' last grains take. */
const SPIN_LOOKS = 2000;
/** A sleeping worker looks at the abort word this often. */
const SLEEP_MS = 50;

/** Turns in which a launch's grains are taken, at most some: enough for any number of threads, few where grains are tiny. */
const TURNS = 256;

/** kernel(args, scratch, grainBegin, grainEnd) */
export type Kernel = (args: number, scratch: number, grainBegin: number, grainEnd: number) => void;

export function tableBytes(launches: readonly Launch[]): number {
  const records = launches.reduce((sum, { fields }) => sum + Object.keys(fields).length * 4, 0);
  return launches.length * LAUNCH_WORDS * 4 + records;
}

/** Writes table and argument records at `address`; the counters start at 0. */
export function writeTable(
  buffer: ArrayBufferLike,
  address: number,
  launches: readonly Launch[],
  kernelIndex: ReadonlyMap<string, number>,
): void {
  const words = new Int32Array(buffer);
  const floats = new Float32Array(buffer);
  let entry = address >>> 2;
  let record = entry + launches.length * LAUNCH_WORDS;
  for (const { kernel, fields, values, grains } of launches) {
    words.fill(0, entry, entry + LAUNCH_WORDS);
    words[entry + KERNEL] = kernelIndex.get(kernel) ?? -1;
    words[entry + GRAINS] = grains;
    words[entry + ARGS] = record * 4;
    for (const [name, type] of Object.entries(fields)) {
      if (type === "f32") floats[record] = values[name];
      else words[record] = values[name];
      record++;
    }
    entry += LAUNCH_WORDS;
  }
}

/** Microseconds of a clock that all threads share, modulo 2^32: 71 minutes. */
function clock(): number {
  return ((performance.timeOrigin + performance.now()) * 1000) | 0;
}

/** When each launch ran; times are from the first one's begin. */
export function launchSpans(buffer: ArrayBufferLike, table: number, count: number): Span[] {
  const words = new Int32Array(buffer, table, count * LAUNCH_WORDS);
  const sinceFirst = (word: number): number => ((words[word] - words[BEGIN]) | 0) / 1000;
  return Array.from({ length: count }, (_, i) => {
    const beginMs = sinceFirst(i * LAUNCH_WORDS + BEGIN);
    const endMs = sinceFirst(i * LAUNCH_WORDS + END);
    // Whoever finishes may be held up before it looks at the clock, while others begin the next launch.
    const nextMs = i + 1 < count ? sinceFirst((i + 1) * LAUNCH_WORDS + BEGIN) : endMs;
    return { beginMs, endMs: Math.max(beginMs, Math.min(endMs, nextMs)) };
  });
}

/** What one worker is told. */
export interface WalkTask {
  readonly table: number;
  readonly begin: number;
  readonly end: number;
  /** This worker's own scratch memory. */
  readonly scratch: number;
  /** What the memory has grown to. */
  readonly memoryBytes: number;
}

/** Walks launches [begin, end) together with any number of others. Returns early when aborted. */
export function walk(
  memory: { readonly buffer: ArrayBufferLike; grow(pages: number): unknown },
  kernels: readonly Kernel[],
  task: WalkTask,
): void {
  // The memory may have grown since the last program. V8 tells threads of it, but not one that is just being started: that one goes on
  // seeing the old size (Node 20 and 24; about one start in 400 while the memory grows). Growing by nothing makes it look.
  if (memory.buffer.byteLength < task.memoryBytes) memory.grow(0);
  const words = new Int32Array(memory.buffer);
  for (let i = task.begin; i < task.end; i++) {
    const entry = (task.table >>> 2) + i * LAUNCH_WORDS;
    const kernel = kernels[words[entry + KERNEL]];
    const grains = words[entry + GRAINS];
    const args = words[entry + ARGS];
    const atATime = Math.max(1, Math.floor(grains / TURNS));
    for (;;) {
      if (Atomics.load(words, ABORT_WORD) !== 0) return;
      const first = Atomics.add(words, entry + TAKEN, atATime);
      if (first >= grains) break;
      if (first === 0) words[entry + BEGIN] = clock();
      const end = Math.min(grains, first + atATime);
      kernel(args, task.scratch, first, end);
      if (Atomics.add(words, entry + DONE, end - first) === grains - (end - first)) {
        words[entry + END] = clock();
        Atomics.notify(words, entry + DONE);
      }
    }
    if (!waitUntilDone(words, entry + DONE, grains)) return;
  }
}

/** False when aborted. */
function waitUntilDone(words: Int32Array, word: number, grains: number): boolean {
  for (let look = 0; look < SPIN_LOOKS; look++) {
    if (Atomics.load(words, word) === grains) return true;
  }
  for (;;) {
    const done = Atomics.load(words, word);
    if (done === grains) return true;
    if (Atomics.load(words, ABORT_WORD) !== 0) return false;
    Atomics.wait(words, word, done, SLEEP_MS);
  }
}

/** Runs launches [begin, end) alone, on plain or shared memory, and lets the host do other work now and then. */
export async function walkAlone(
  memory: WebAssembly.Memory,
  kernels: readonly Kernel[],
  task: Omit<WalkTask, "memoryBytes">,
): Promise<void> {
  let lastYield = performance.now();
  for (let i = task.begin; i < task.end; i++) {
    // A view per launch: while we yield, nothing else runs on this memory, but it costs nothing to be safe.
    const words = new Int32Array(memory.buffer);
    const entry = (task.table >>> 2) + i * LAUNCH_WORDS;
    words[entry + BEGIN] = clock();
    kernels[words[entry + KERNEL]](words[entry + ARGS], task.scratch, 0, words[entry + GRAINS]);
    words[entry + END] = clock();
    if (performance.now() - lastYield > YIELD_MS) {
      await nextTurn();
      lastYield = performance.now();
    }
  }
}

/** With one thread the event loop gets a turn this often. */
const YIELD_MS = 10;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
