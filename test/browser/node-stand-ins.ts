/** Stands in for the parts of Node that files of test/ops import (op-bundles.ts): in a page a file is fetched, and the rest is not used. */

export async function readFile(url: URL): Promise<Uint8Array> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${response.status}: ${url}`);
  return new Uint8Array(await response.arrayBuffer());
}

export function createHash(): never {
  throw new Error("pages make no hashes");
}

/** Of #src/node-host.js: no V8 whose flags could be set. */
export const NODE = { v8: null };
