// Runs npm without a shell, on every system: with this very Node and npm's own script. Tests and scripts that need a package of the
// registry (another Node, Deno, Bun, TypeDoc) have npm fetch it into its cache: packages that are only run are no dependencies.
import { execFile } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Path of npm-cli.js: of the npm that started us, or else of the first in PATH; null where there is none. */
export function npmCli() {
  const own = process.env.npm_execpath;
  if (own !== undefined && path.basename(own) === "npm-cli.js" && existsSync(own)) return own;
  for (const folder of [...(process.env.PATH ?? "").split(path.delimiter), path.dirname(process.execPath)]) {
    // On Windows npm lies beside npm.cmd; elsewhere `npm` is a link to the script.
    const beside = path.join(folder, "node_modules/npm/bin/npm-cli.js");
    if (existsSync(beside)) return beside;
    const link = path.join(folder, "npm");
    if (existsSync(link) && path.basename(realpathSync(link)) === "npm-cli.js") return realpathSync(link);
  }
  return null;
}

/** Runs npm; resolves to what it printed, rejects with what it complained of. */
export async function npm(args, options = {}) {
  const cli = npmCli();
  if (cli === null) throw new Error("npm: it is not in PATH. Install it beside Node.");
  // Under `npm test --silent` npm would otherwise say nothing of what went wrong.
  return run(process.execPath, [cli, "--loglevel=error", ...args], { maxBuffer: 64 * 2 ** 20, ...options });
}

/** Runs a program of a package that npm has in its cache, or fetches. */
export function npmExec(packageName, args, { offline = false, ...options } = {}) {
  return npm(["exec", "--yes", ...(offline ? ["--offline"] : []), `--package=${packageName}`, "--", ...args], options);
}

/** The version that a program of a package tells, if npm has the package in its cache; else null. */
export async function cachedVersion(packageName, program) {
  try {
    const { stdout } = await npmExec(packageName, [program, "--version"], { offline: true, timeout: 60_000 });
    return stdout.trim().split("\n")[0];
  } catch {
    return null;
  }
}
