/**
 * A thread that still sees the memory as small as it was, as V8 lets one that starts while the memory grows: the walk over the program makes
 * it look again. The race itself happens too seldom for a test; what it leaves behind is played here.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { tableBytes, walk, writeTable } from "#src/backend/wasm/program-table.js";

const PAGE = 65_536;
const launches = [{ kernel: "count", fields: {}, values: {}, grains: 3, workerBytes: 0 }];

test("a table behind what the thread sees: it looks again, once, and walks it", () => {
  const whole = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  let seen: ArrayBufferLike = new SharedArrayBuffer(PAGE);
  const grown: number[] = [];
  const memory = {
    get buffer() {
      return seen;
    },
    grow(pages: number) {
      grown.push(pages);
      seen = whole.buffer;
      return 2;
    },
  };
  const table = 2 * PAGE - tableBytes(launches);
  const grains: number[] = [];
  const kernels = [(_args: number, _scratch: number, begin: number, end: number) => grains.push(end - begin)];
  for (let program = 0; program < 2; program++) {
    writeTable(whole.buffer, table, launches, new Map([["count", 0]]));
    walk(memory, kernels, { table, begin: 0, end: 1, scratch: 0, memoryBytes: 2 * PAGE });
  }
  assert.equal([grown, grains.reduce((a, b) => a + b)], [[0], 6]);
});

test.run();
