// WebAssembly has no prefetch instruction, and the machine's own prefetcher loses track where a kernel walks several rows at
// once. A load whose value nobody uses does instead: it brings its cache line near and waits for nothing.

/** Bytes of a cache line. */
const LINE_BYTES: usize = 64;

/** Brings `bytes` bytes from `begin` on near, but none from `end` on: memory that will be read soon. */
export function touchLines(begin: usize, bytes: usize, end: usize): void {
  const stop = min(begin + bytes, end);
  for (let line = begin; line < stop; line += LINE_BYTES) load<i32>(line);
}
