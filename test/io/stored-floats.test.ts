import { test } from "uvu";
import * as assert from "uvu/assert";
import { DamagedFileError } from "#src/core/errors.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { floatsFromStored, readStoredFloats, STORED_SIZES, storedSize } from "#src/io/stored-floats.js";
import type { StoredDtype } from "#src/io/weights-file.js";
import { fails } from "./fails.js";

/** Elements as bytes, and what they are as float32. */
const CASES: Readonly<Record<StoredDtype, [stored: ArrayBufferView, floats: number[]]>> = {
  F64: [Float64Array.of(1 / 3, -0, 1e300, Number.NaN), [Math.fround(1 / 3), -0, Number.POSITIVE_INFINITY, Number.NaN]],
  F32: [Float32Array.of(1e-45, -3.5), [1e-45, -3.5]],
  F16: [Uint16Array.of(0x3555, 0xfc00, 0x8001), [0.333251953125, Number.NEGATIVE_INFINITY, -(2 ** -24)]],
  BF16: [Uint16Array.of(0x3eab, 0xff80, 0x0001), [0.333984375, Number.NEGATIVE_INFINITY, 2 ** -133]],
  I64: [BigInt64Array.of(-1n, 2n ** 53n, 2n ** 24n + 1n), [-1, 2 ** 53, 2 ** 24]],
  U64: [BigUint64Array.of(2n ** 64n - 1n), [2 ** 64]],
  I32: [Int32Array.of(-(2 ** 31), 7), [-(2 ** 31), 7]],
  U32: [Uint32Array.of(2 ** 32 - 1, 7), [2 ** 32, 7]],
  I16: [Int16Array.of(-32768, 5), [-32768, 5]],
  U16: [Uint16Array.of(65535), [65535]],
  I8: [Int8Array.of(-128, 127), [-128, 127]],
  U8: [Uint8Array.of(255, 0), [255, 0]],
  BOOL: [Uint8Array.of(0, 1), [0, 1]],
};

for (const [dtype, [stored, expected]] of Object.entries(CASES) as [StoredDtype, (typeof CASES)[StoredDtype]][]) {
  test(`${dtype}: values, from any byte on, into plain and shared memory`, async () => {
    const bytes = new Uint8Array(stored.buffer);
    assert.is(bytes.length, expected.length * storedSize(dtype));
    for (const shift of [0, 1, 8]) {
      const moved = new Uint8Array(shift + bytes.length);
      moved.set(bytes, shift);
      for (const memory of [new ArrayBuffer(64), new SharedArrayBuffer(64)]) {
        const target = new Float32Array(memory, 4, expected.length);
        floatsFromStored(dtype, moved.subarray(shift), target);
        assert.equal([...target], expected.map(Math.fround));
        target.fill(9);
        await readStoredFloats(bytesReader(moved), dtype, shift, target);
        assert.equal([...target], expected.map(Math.fround));
      }
    }
  });

  test(`${dtype}: more than two chunks, and an end that is missing`, async () => {
    const size = STORED_SIZES[dtype];
    const count = (9 * 2 ** 20) / size + 3;
    const bytes = Uint8Array.from({ length: count * size }, (_, i) => (i * 2654435761) >>> 25);
    const whole = new Float32Array(count);
    floatsFromStored(dtype, bytes, whole);
    const target = new Float32Array(count);
    await readStoredFloats(bytesReader(bytes), dtype, 0, target);
    assert.ok(Buffer.from(target.buffer).equals(Buffer.from(whole.buffer)));
    await fails(readStoredFloats(bytesReader(bytes), dtype, 1, target), DamagedFileError, "ends before its data do");
  });
}

test.run();
