/** Where runs are: new ones, and how earlier ones are found. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { UsageError } from "../core/errors.js";

/** Where runs go that are not told where. */
export const RUNS = "runs";

/**
 * The folder that the user named (`--run`), or one in runs/.
 * @throws UsageError for a path without a name.
 */
export function wantedFolder(run: string | boolean | undefined, name: string): string {
  if (typeof run !== "string") return path.join(RUNS, name);
  const folder = path.join(path.dirname(run), path.basename(run));
  if (run !== "" && !/^\.*$/.test(path.basename(run))) return folder;
  throw new UsageError(
    `verydeep: the run's folder has no name (--run ${JSON.stringify(run)}). Pass one, such as --run runs/mine.`,
  );
}

/** What the folder of a run, or of a recipe of several, is known by. */
const MARKS = ["recipe.json", "config.json"] as const;

/**
 * The run in a folder of runs that began last.
 * @throws UsageError where there is none.
 */
export async function newestRun(folder: string): Promise<string> {
  const names = await readdir(folder).catch(() => []);
  const found: { place: string; begun: number }[] = [];
  for (const name of names) {
    for (const mark of MARKS) {
      const place = path.join(folder, name);
      const stats = await stat(path.join(place, mark)).catch(() => null);
      if (stats) found.push({ place, begun: stats.mtimeMs });
    }
  }
  const newest = found.sort((a, b) => b.begun - a.begun)[0];
  if (newest) return newest.place;
  throw new UsageError(`verydeep: there is no run to go on with (folder ${folder}). Name its folder: --resume FOLDER.`);
}
