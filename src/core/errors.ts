/**
 * The errors a caller can catch. Every message reads
 * `<op>: <what is wrong> (<name> <shape>). <what to do>`: tests assert the text.
 */

/** Base class: `catch (error) { if (error instanceof VerydeepError) … }` catches all that the library throws on purpose. */
export class VerydeepError extends Error {
  override readonly name: string = "VerydeepError";
}

/** Shapes or numbers of an operation do not fit together. */
export class ShapeError extends VerydeepError {
  override readonly name = "ShapeError";
}

/** The library was called in a way that has no meaning: a bad option, a tensor that no longer has a value, … */
export class UsageError extends VerydeepError {
  override readonly name = "UsageError";
}

/** A weights file is truncated, malformed, or does not fit the model. */
export class WeightsError extends VerydeepError {
  override readonly name = "WeightsError";
}

/** A weights file is cut or malformed: what it held is lost, and an older one may do. */
export class DamagedFileError extends WeightsError {}

/** A data set or picture cannot be read. */
export class DataError extends VerydeepError {
  override readonly name = "DataError";
}

/** The engine cannot go on: a worker died, memory is full, the instruction set is missing. */
export class BackendError extends VerydeepError {
  override readonly name: string = "BackendError";
}

/** There is no room for a tensor. */
export class MemoryFullError extends BackendError {
  override readonly name = "MemoryFullError";
}

/** The loss became NaN or infinite. */
export class DivergedError extends VerydeepError {
  override readonly name = "DivergedError";
}
