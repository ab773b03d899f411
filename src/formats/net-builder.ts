/**
 * Makes rows of a file's graph: names that are unique, shapes as far as the file fixes them, and where the tensors are. What a layer
 * of the file means is the format's business: onnx-ops.ts, caffe-layers.ts. The rows: models/net-config.ts.
 */
import { UsageError, WeightsError } from "../core/errors.js";
import type { FileNet, TensorPlace } from "../io/weights-file.js";
import { INPUT, type LayerKind, type Row, tableLayers } from "../models/net-config.js";

/** A size that the file leaves open is null. */
export type FileShape = readonly (number | null)[];

/** What a layer of the file gives. */
export interface Value {
  /** The row whose output it is, or the input's name. */
  readonly row: string;
  /** [channels, height, width], or [features]. */
  readonly shape: FileShape;
}

/** Tensors of a row by their names there: weight, bias, running_mean, running_var. */
export type RowTensors = Readonly<Record<string, TensorPlace>>;

interface Entry {
  row: Row & { readonly name: string };
  readonly inputs: readonly string[];
  readonly tensors: Map<string, TensorPlace>;
}

/**
 * The first shape that differs from the first of all; sizes that the file leaves open fit any.
 * @param from the first side that must be the same: 1 where channels may differ.
 */
export function differingShape(shapes: readonly FileShape[], from: number): FileShape | undefined {
  const [first, ...others] = shapes;
  return others.find(
    (other) =>
      other.length !== first.length ||
      !other.every((side, i) => i < from || side === null || first[i] === null || side === first[i]),
  );
}

/** Collects the rows of a net. */
export class NetBuilder {
  private readonly entries = new Map<string, Entry>();
  /** Rows whose output several layers of the file take under several names: nothing can be put into them for one alone. */
  private readonly shared = new Set<string>();
  /** How often each name was wanted. */
  private readonly wanted = new Map<string, number>();

  constructor(
    /** For errors. */
    private readonly file: string,
    readonly inputShape: FileShape,
  ) {}

  get input(): Value {
    return { row: INPUT, shape: this.inputShape };
  }

  /**
   * Adds a row.
   * @param wanted its name, where no other has it.
   * @throws WeightsError where its inputs are too small for it.
   */
  add(
    wanted: string,
    kind: LayerKind & { readonly outputs?: number },
    inputs: readonly Value[],
    tensors: RowTensors = {},
  ): Value {
    const name = this.freeName(wanted);
    const row = { ...kind, name };
    this.entries.set(name, {
      row,
      inputs: inputs.map((input) => input.row),
      tensors: new Map(Object.entries(tensors)),
    });
    return { row: name, shape: this.shapeOf(row, inputs) };
  }

  /** What a net ends in: a picture of one pixel per class is a row of logits. */
  logits(value: Value): Value {
    const { shape } = value;
    const isPixel = shape.length === 3 && shape[1] === 1 && shape[2] === 1;
    return isPixel ? this.add("flatten", { kind: "flatten" }, [value]) : value;
  }

  /** The row that a value comes from; null for the input. */
  rowOf(value: Value): Row | null {
    return this.entries.get(value.row)?.row ?? null;
  }

  /** Says that a value has two names in the file, and is taken by both. */
  share(value: Value): void {
    this.shared.add(value.row);
  }

  /** Gives a layer without bias one. @returns whether it could, and nobody else takes its output. */
  setBias(value: Value, bias: TensorPlace): boolean {
    const entry = this.entries.get(value.row);
    if (!entry || this.shared.has(value.row)) return false;
    const { row } = entry;
    if (!(row.kind === "conv" || row.kind === "convTranspose" || row.kind === "linear") || (row.bias ?? true)) {
      return false;
    }
    entry.row = { ...row, bias: true };
    entry.tensors.set("bias", bias);
    return true;
  }

  /** Gives a row's tensors other places. @returns whether it is a row of batch normalisation that has none yet. */
  setAffine(value: Value, weight: TensorPlace, bias: TensorPlace): boolean {
    const entry = this.entries.get(value.row);
    if (
      entry?.row.kind !== "batchNorm" ||
      this.shared.has(value.row) ||
      !("fill" in (entry.tensors.get("weight") ?? {}))
    )
      return false;
    entry.tensors.set("weight", weight).set("bias", bias);
    return true;
  }

  /** A value with the same height and width as given: what a picture can be cut to. The newest. */
  ofSize(height: number | null | undefined, width: number | null | undefined, values: Iterable<Value>): Value | null {
    const fits = [...values, this.input].filter(
      ({ shape }) => shape.length === 3 && shape[1] === height && shape[2] === width,
    );
    return fits.at(-1) ?? null;
  }

  /** The rows that an output needs, in order. */
  finish(output: Value): Pick<FileNet, "rows" | "tensors"> {
    const needed = new Set<string>();
    const open = [output.row];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (needed.has(name)) continue;
      needed.add(name);
      for (const input of this.entries.get(name)?.inputs ?? []) open.push(input);
    }
    const rows: Row[] = [];
    const tensors = new Map<string, TensorPlace>();
    let above = INPUT;
    for (const [name, { row, inputs, tensors: own }] of this.entries) {
      if (!needed.has(name)) continue;
      const follows = inputs.length === 1 && inputs[0] === above;
      rows.push(follows ? row : { ...row, from: inputs });
      for (const [part, place] of own) tensors.set(`${name}.${part}`, place);
      above = name;
    }
    if (rows.length === 0) throw new WeightsError(`load: the net of ${this.file} has no layers. Use another file.`);
    return { rows, tensors };
  }

  private freeName(wanted: string): string {
    const base = wanted === "" ? "layer" : wanted;
    let name = base;
    let times = this.wanted.get(base) ?? 0;
    while (name === INPUT || this.entries.has(name)) name = `${base}_${++times + 1}`;
    this.wanted.set(base, times);
    return name;
  }

  private shapeOf(row: Row & { readonly outputs?: number }, inputs: readonly Value[]): FileShape {
    const [first, second] = inputs.map(({ shape }) => shape);
    if (row.kind === "concat") {
      const channels = inputs.reduce<number | null>((sum, { shape }) => sizesSum(sum, shape[0]), 0);
      return [channels, ...first.slice(1)];
    }
    if (row.kind === "crop") return [first[0], ...second.slice(1)];
    const known = first.filter((side): side is number => side !== null);
    if (known.length === first.length) return this.knownShape(row, known);
    const channels = row.outputs ?? first[0];
    switch (row.kind) {
      case "linear":
        return [channels];
      case "flatten":
        return [null];
      case "adaptiveAvgPool":
      case "adaptiveMaxPool":
        return [channels, ...this.knownShape(row, [1, 1, 1]).slice(1)];
      case "conv":
      case "convTranspose":
      case "pool":
      case "avgPool":
      case "pad":
      case "upsample":
        return [channels, null, null];
      default:
        return first;
    }
  }

  private knownShape(row: Row, inShape: readonly number[]): readonly number[] {
    try {
      return tableLayers([row], inShape, { net: "load", classes: 1 })[0].outShape;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw new WeightsError(`${error.message} The net is that of ${this.file}.`);
    }
  }
}

/** The sum of two sizes; null where one is open. */
function sizesSum(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}
