/**
 * Asks the host to collect garbage. The collector does not see how much tensor memory an object stands for, so dropped
 * models may lie around while tensor memory is full.
 */
export async function collectGarbage(): Promise<void> {
  const collect = globalThis.gc ?? (await nodeCollector());
  collect?.();
  // Finalizers run in turns of their own.
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Node's collector, which it hides behind a flag that can also be set late. */
async function nodeCollector(): Promise<(() => void) | undefined> {
  if (typeof process === "undefined" || process.versions?.node === undefined) return undefined;
  const [{ setFlagsFromString }, { runInNewContext }] = await Promise.all([import("node:v8"), import("node:vm")]);
  setFlagsFromString("--expose-gc");
  const found: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  return typeof found === "function" ? () => found() : undefined;
}
