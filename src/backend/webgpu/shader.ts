/**
 * Writes the WGSL of a dispatch: constants, uniforms and tensors in front of a kernel's source, and the source with its conditions decided.
 * Pure functions of plain data; equal texts share a pipeline (pipelines.ts).
 */
import type { DataType } from "../backend.js";
import type { Dispatch, Float } from "./dispatch.js";

/** How one tensor's binding is seen by the shader. */
export interface Binding {
  readonly name: string;
  readonly element: string;
  readonly writable: boolean;
}

/** What a shader sees an element of a type as; halves and int8 as words of two and four. */
export const ELEMENT_TYPE: { readonly [T in DataType]: string } = {
  float32: "f32",
  int32: "i32",
  uint8: "u32",
  float16: "u32",
  int8: "u32",
};

/** Constants that are for conditions alone: as names of the source they would hide a type, or mean a feature. */
const FEATURES: ReadonlySet<string> = new Set(["f16", "subgroups"]);

/**
 * The shader of a dispatch. Tensors that lie in the same memory have one binding: `aliases` names the binding of each of the others, and
 * the source has that name in its place. So tensors' names are nothing else in a source (members, as in `id.x`, are not meant).
 */
export function shaderText(
  { source, constants, uniforms, workgroups, tensors }: Dispatch,
  bindings: readonly Binding[],
  aliases: ReadonlyMap<string, string>,
): string {
  const holds = (name: string): boolean => constants[name] === true || (tensors[name] ?? null) !== null;
  const lines = [
    ...(constants.f16 === true ? ["enable f16;"] : []),
    ...(constants.subgroups === true ? ["enable subgroups;"] : []),
    ...Object.entries(constants)
      .filter(([name]) => !FEATURES.has(name))
      .map(([name, value]) => `const ${name} = ${literal(value)};`),
    ...(namesOf(source).has("GRID_X") ? [`const GRID_X = ${workgroups[0]}u;`] : []),
  ];
  const fields = Object.entries(uniforms);
  if (fields.length > 0) {
    lines.push(`struct Uniforms { ${fields.map(([name, value]) => `${name}: ${uniformType(value)}`).join(", ")} }`);
    lines.push(`@group(0) @binding(${bindings.length}) var<uniform> u: Uniforms;`);
  }
  bindings.forEach(({ name, element, writable }, i) => {
    lines.push(
      `@group(0) @binding(${i}) var<storage, ${writable ? "read_write" : "read"}> ${name}: array<${element}>;`,
    );
  });
  const timesOf = (count: string): number => Number(constants[count] ?? count);
  let text = unroll(decide(source, holds), timesOf).join("\n");
  for (const [name, other] of aliases) text = text.replace(new RegExp(`(?<![.\\w])${name}\\b`, "g"), other);
  return `${lines.join("\n")}\n${text}`;
}

/** Where the compiler has to know a value. */
const STATIC_LINE = /\bconst\b|\barray<|@workgroup_size|#for\b|var<workgroup>/;
const NAME = /(?<![.\w])[A-Za-z_]\w*/g;

/** What is derived of a source, once. */
interface SourceFacts {
  readonly names: ReadonlySet<string>;
  readonly staticNames: ReadonlySet<string>;
  /** The source with some names as uniforms, by these names. */
  readonly general: Map<string, string>;
}

const factsOfSources = new Map<string, SourceFacts>();

function factsOf(source: string): SourceFacts {
  let facts = factsOfSources.get(source);
  if (facts === undefined) {
    const staticLines = source.split("\n").filter((line) => STATIC_LINE.test(line));
    facts = {
      names: new Set(source.match(NAME)),
      staticNames: new Set(staticLines.join("\n").match(NAME)),
      general: new Map(),
    };
    factsOfSources.set(source, facts);
  }
  return facts;
}

function namesOf(source: string): ReadonlySet<string> {
  return factsOf(source).names;
}

/**
 * The same dispatch with all sizes that the compiler can do without as uniforms: shapes share a pipeline then. For software adapters, which
 * take long to compile and gain nothing by constants.
 */
export function generalised(dispatch: Dispatch): Dispatch {
  const { source, constants, uniforms, workgroups } = dispatch;
  const { names, staticNames, general } = factsOf(source);
  const sizes: [string, number | Float][] = [];
  const kept: Record<string, number | boolean | Float> = {};
  for (const [name, value] of Object.entries<number | boolean | Float>({ ...constants, GRID_X: workgroups[0] })) {
    const used = names.has(name);
    if (typeof value === "boolean" || (used && staticNames.has(name))) kept[name] = value;
    else if (used) sizes.push([name, value]);
  }
  const key = sizes.map(([name]) => name).join(" ");
  let text = general.get(key);
  if (text === undefined) {
    const wanted = new Set(key.split(" "));
    text = source.replace(NAME, (name) => (wanted.has(name) ? `u.${name}` : name));
    general.set(key, text);
  }
  return { ...dispatch, source: text, constants: kept, uniforms: { ...uniforms, ...Object.fromEntries(sizes) } };
}

/** A value of the uniforms' struct, in its 4 bytes. */
export function writeUniform(view: DataView, offsetBytes: number, value: number | Float): void {
  if (typeof value !== "number") view.setFloat32(offsetBytes, value.f32, true);
  else if (value < 0) view.setInt32(offsetBytes, value, true);
  else view.setUint32(offsetBytes, value, true);
}

function uniformType(value: number | Float): string {
  if (typeof value !== "number") return "f32";
  return value < 0 ? "i32" : "u32";
}

/** A constant as WGSL has it, of its type; a float to its last bit. */
function literal(value: number | boolean | Float): string {
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number") return value < 0 ? `${value}i` : `${value}u`;
  const { f32 } = value;
  const single = Math.fround(f32);
  if (!Number.isFinite(single)) throw new RangeError(`a shader's constant is ${f32}`);
  // Nine digits tell every float32 from its neighbours.
  return `${single.toExponential(8)}f`;
}

/** The lines that its conditions leave. */
function decide(source: string, holds: (name: string) => boolean): string[] {
  const kept: string[] = [];
  const open: boolean[] = [];
  for (const line of source.split("\n")) {
    const [, word, not, name] = /^\s*#(if|else|endif)\s*(!?)(\w*)/.exec(line) ?? [];
    if (word === "if") open.push(holds(name) !== (not === "!"));
    else if (word === "else") open.push(!open.pop());
    else if (word === "endif") open.pop();
    else if (!open.includes(false)) kept.push(line);
  }
  return kept;
}

/** The lines with those of its loops as often as they say. */
function unroll(lines: readonly string[], timesOf: (count: string) => number): string[] {
  const unrolled: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    const [, name, count] = /^\s*#for (\w+) (\w+)/.exec(lines[i]) ?? [];
    if (name === undefined) {
      unrolled.push(lines[i]);
      continue;
    }
    const begin = i + 1;
    for (let depth = 1; depth > 0; ) {
      i++;
      if (/^\s*#for /.test(lines[i])) depth++;
      else if (/^\s*#end$/.test(lines[i])) depth--;
    }
    const body = lines.slice(begin, i);
    for (let time = 0; time < timesOf(count); time++) {
      const written = body.map((line) => line.replaceAll(`{${name}}`, String(time)));
      unrolled.push(...unroll(written, timesOf));
    }
  }
  return unrolled;
}
