/** Assertions on errors: their class and a part of their text. */
import * as assert from "uvu/assert";
import type { BackendError, DataError, ShapeError, UsageError, WeightsError } from "#src/core/errors.js";

type ErrorClass =
  | typeof BackendError
  | typeof DataError
  | typeof ShapeError
  | typeof UsageError
  | typeof WeightsError
  | typeof RangeError;

/** Checks an error. Returns true, for assert.throws. */
export function has(error: unknown, type: ErrorClass, text: string): true {
  assert.instance(error, type, String(error));
  assert.ok(error instanceof Error && error.message.includes(text), `${error}\nexpected: ${text}`);
  return true;
}

/** Awaits the failure of a promise and checks its error. */
export async function fails(promise: Promise<unknown>, type: ErrorClass, text: string): Promise<void> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error === undefined) assert.unreachable(`no error: ${text}`);
  has(error, type, text);
}
