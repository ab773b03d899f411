/** Reads test/fixtures/ops*.safetensors: what PyTorch computes (test/fixtures/README.md). */
import { readFile } from "node:fs/promises";
import { parseSafetensors } from "#src/io/safetensors-format.js";
import type { TensorData } from "./run-op.js";

/** Options of a case, in PyTorch's words. Which ones there are depends on the operation. */
export interface FixtureOptions {
  readonly stride: number | readonly [number, number];
  readonly padding: number | readonly [number, number];
  readonly outputPadding: number | readonly [number, number];
  readonly dilation: number | readonly [number, number];
  readonly groups: number;
  readonly scaleFactor: number | readonly [number, number];
  readonly alignCorners: boolean;
  readonly kernelSize: number | readonly [number, number];
  readonly factor: number;
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;
  readonly form: "pytorch" | "caffe";
  readonly lr: readonly number[];
  readonly momentum: number;
  readonly weightDecay: number;
  readonly ceilMode: boolean;
  readonly countIncludePad: boolean;
  readonly outputSize: readonly [number, number];
  readonly training: boolean;
  readonly eps: number;
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
  readonly slope: number;
  readonly beta1: number;
  readonly beta2: number;
}

/** The files, and how many cases test/fixtures/README.md promises of each. */
export const FIXTURE_FILES: Readonly<Record<string, number>> = {
  "ops.safetensors": 149,
  "ops-more.safetensors": 112,
  "ops-conv.safetensors": 55,
};

export interface OpFixture {
  readonly file: string;
  readonly op: string;
  /** The shapes. */
  readonly name: string;
  readonly options: FixtureOptions;
  /** By short name: x, weight, dy, dWeight, … */
  readonly tensors: Readonly<Record<string, TensorData>>;
}

interface CaseEntry {
  readonly op: string;
  readonly name: string;
  readonly options: FixtureOptions;
  readonly tensors: readonly string[];
}

/** The cases of all files. */
export async function readOpFixtures(): Promise<OpFixture[]> {
  return (await Promise.all(Object.keys(FIXTURE_FILES).map(readFixtureFile))).flat();
}

async function readFixtureFile(file: string): Promise<OpFixture[]> {
  const bytes = new Uint8Array(await readFile(new URL(`../fixtures/${file}`, import.meta.url)));
  const source = parseSafetensors(bytes, file);
  const entries: readonly CaseEntry[] = JSON.parse(source.metadata.cases);

  const load = async (name: string): Promise<TensorData> => {
    const entry = source.tensors.get(name);
    if (!entry) throw new Error(`${file} lists no tensor ${name}`);
    const { dtype, shape, offset, sizeBytes } = entry;
    if (dtype === "F32") return { shape, data: await source.read(name) };
    if (dtype !== "I32") throw new Error(`${file}: ${name} is ${dtype}`);
    return { shape, data: new Int32Array(bytes.slice(offset, offset + sizeBytes).buffer) };
  };

  const fixtures: OpFixture[] = [];
  for (const { op, name, options, tensors } of entries) {
    const loaded: Record<string, TensorData> = {};
    for (const short of tensors) loaded[short] = await load(`${op}/${name}/${short}`);
    fixtures.push({ file, op, name, options, tensors: loaded });
  }
  return fixtures;
}
