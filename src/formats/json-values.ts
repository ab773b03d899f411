/**
 * JSON that comes from weights files: parsed, and looked into by own properties alone, so that no name in a file reaches what objects
 * inherit. What the values mean is the readers' business.
 */
import { DamagedFileError } from "../core/errors.js";

/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** An object of JSON. Read it by {@link field}. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/**
 * Text or its bytes (UTF-8) as JSON.
 * @param name of the file, for errors.
 * @throws DamagedFileError where it is none.
 */
export function parseJson(text: string | Uint8Array, name: string): Json {
  try {
    return JSON.parse(typeof text === "string" ? text : new TextDecoder("utf-8", { fatal: true }).decode(text));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new DamagedFileError(`load: ${name} is not whole JSON (${why}). Download or save the file again.`);
  }
}

/** Whether a value is an object, and no list. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is a list. */
export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** The first of these own properties that is there and not null; undefined where none is, or the value is no object. */
export function field(value: Json | undefined, ...keys: readonly string[]): Json | undefined {
  if (!isObject(value)) return undefined;
  const key = keys.find((each) => Object.hasOwn(value, each) && value[each] !== null);
  return key === undefined ? undefined : value[key];
}

/** A property that is a text. */
export function textField(value: Json | undefined, ...keys: readonly string[]): string | undefined {
  const found = field(value, ...keys);
  return typeof found === "string" ? found : undefined;
}

/** A property that is a list; empty where it is none. */
export function listField(value: Json | undefined, ...keys: readonly string[]): readonly Json[] {
  const found = field(value, ...keys);
  return isList(found) ? found : [];
}

/** A value as a text of at most 60 characters, for errors. */
export function shown(value: Json | undefined): string {
  const text = asText(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

/** What is nested too deeply for JSON.stringify is named only. */
function asText(value: Json | undefined): string {
  try {
    return JSON.stringify(value) ?? "nothing";
  } catch {
    return isList(value) ? "a list" : "an object";
  }
}
