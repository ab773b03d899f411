/**
 * Rows of a long script, one JSON object a line, in a file that outlives the script: what it has already is not computed again. Without a
 * file rows are only printed.
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";

/** What tells a row from others, and what was found. */
export type Row = Readonly<Record<string, unknown>>;

export class RowFile<Result extends object> {
  private readonly rows: Row[] = [];

  constructor(private readonly path: string | undefined) {
    if (path === undefined || !existsSync(path)) return;
    for (const line of readFileSync(path, "utf8").split("\n")) {
      // A line that was cut when the script was killed is no row.
      if (line.endsWith("}")) this.rows.push(JSON.parse(line));
    }
    writeFileSync(path, this.rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  }

  /** The result of the row with this key: the file's, or what `compute` gives, which is added. */
  async get(key: Row, compute: () => Promise<Result>): Promise<Result> {
    const names = Object.keys(key);
    const found = this.rows.find((row) =>
      names.every((name) => JSON.stringify(row[name]) === JSON.stringify(key[name])),
    );
    if (found?.result !== undefined) return found.result as Result;
    const result = await compute();
    const row = { ...key, result };
    this.rows.push(row);
    const line = JSON.stringify(row);
    console.log(line);
    if (this.path !== undefined) appendFileSync(this.path, `${line}\n`);
    return result;
  }
}

/** Whole numbers from 1, as `--seeds 1,2,3` gives them. */
export function wholeNumbers(option: string, text: string): number[] {
  const numbers = text.split(",").map(Number);
  if (numbers.every((value) => Number.isInteger(value) && value > 0)) return numbers;
  throw new Error(`${option} must be whole numbers from 1 (${option} ${text}).`);
}

/** Runs a script's main function; an error ends it in one line and exit code 2. */
export async function runScript(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(2);
  }
}
