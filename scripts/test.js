// Runs the tests: `node scripts/test.js` all, `… smoke` a subset of a few seconds, `… ops/fixtures` those whose path has these words.
// One Node process per folder of test/, one after the other, so that a leak or a crash in one does not reach the rest.
// The last line is `N passed, N failed` (and `, N skipped`), added up from the processes' own summaries.
// Tests import the built library (#src is dist/): run `npm install` or `npm run build` first.
import { spawn } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Folders and files of the smoke run: what takes under 5 s together. */
const SMOKE = ["core/", "models/", "data/dataset", "data/open-data", "data/transforms"];

/** A folder that is not done after this long hangs. */
const LIMIT_MS = 10 * 60 * 1000;

/** uvu's last words. Its exit code is not enough: it is 0 when a `before` hook throws. */
const SUMMARY = /^ {2}Total: +(\d+)\s+Passed: +(\d+)\s+Skipped: +(\d+)\s+Duration:/gm;
/** The end of each suite's line of dots; used where a process dies without a summary. */
const SUITE_END = /^.*[•✘] +\((\d+) \/ (\d+)\)$/gm;
/** How tests say that something could not be tested here. */
const SKIP_LINE = /^[•✘\s]*(skip(?:ped)?\b(?!: +\d).*)$/gim;

/** All suites, as paths inside test/ with forward slashes. */
function findSuites() {
  return readdirSync(path.join(root, "test"), { recursive: true })
    .map((file) => file.split(path.sep).join("/"))
    .filter((file) => file.endsWith(".test.ts"))
    .sort();
}

function chooseSuites(suites, filter) {
  if (filter === undefined) return suites;
  if (filter === "smoke") return suites.filter((file) => SMOKE.some((start) => file.startsWith(start)));
  const words = filter.replaceAll("\\", "/").replace(/^(\.\/)?test\//, "");
  return suites.filter((file) => file.includes(words));
}

/** The newest change in a folder, of files with one of these endings. */
function newest(folder, endings) {
  const files = readdirSync(path.join(root, folder), { recursive: true }).filter((file) =>
    endings.some((ending) => file.endsWith(ending)),
  );
  return files.reduce((latest, file) => Math.max(latest, statSync(path.join(root, folder, file)).mtimeMs), 0);
}

/** Tests of a build that is missing cannot run: false. Tests of an old one mislead: a warning. */
function checkBuild() {
  if (!existsSync(path.join(root, "dist/index.js")) || !existsSync(path.join(root, "dist/wasm/kernels.wasm"))) {
    console.error("There is no build (dist). Run npm install or npm run build first.");
    return false;
  }
  const stale =
    newest("src", [".ts"]) > newest("dist", [".js"]) || newest("assembly", [".ts"]) > newest("dist/wasm", [".wasm"]);
  if (stale)
    console.warn("Warning: dist/ is older than src/ or assembly/. Run npm run build to test what is there now.");
  return true;
}

/** Runs the suites of one folder; streams what they print. */
function runFolder(folder, suites) {
  const names = suites.map((file) => file.slice(folder.length + 1).replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = `^(${names.map((name) => name.replaceAll("/", "[\\\\/]")).join("|")})$`;
  const colour = process.stdout.isTTY ? [] : ["--no-color"];
  const uvu = [path.join(root, "node_modules/uvu/bin.js"), ...colour, path.join(root, "test", folder), pattern];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ["--import", "tsx", ...uvu], {
      cwd: root,
      // Bits and errors are those of wasm where a test asks for nothing else, whatever GPU this machine has.
      env: { VERYDEEP_BACKEND: "wasm", ...process.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, LIMIT_MS);
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      output += text;
      process.stderr.write(text);
    });
    child.on("error", (error) => console.error(error.message));
    child.on("close", (code, signal) => {
      clearTimeout(limit);
      resolve(judge(folder, stripVTControlCharacters(output), late ? `${LIMIT_MS / 60000} minutes` : (signal ?? code)));
    });
  });
}

/** What one process's output and end amount to. */
function judge(folder, output, end) {
  const skips = [...output.matchAll(SKIP_LINE)].map(([, line]) => `${folder}: ${line}`);
  const summary = [...output.matchAll(SUMMARY)].at(-1);
  if (summary === undefined) {
    // Died half-way: what had run counts, and the death is a failure of its own.
    const suites = [...output.matchAll(SUITE_END)].map(([, passed, total]) => [Number(passed), Number(total)]);
    const passed = suites.reduce((sum, [count]) => sum + count, 0);
    const failed = suites.reduce((sum, [count, total]) => sum + total - count, 0);
    console.error(`test/${folder} stopped without a summary (${end}).`);
    return { passed, failed: failed + 1, skipped: 0, skips };
  }
  const [total, passed, skipped] = summary.slice(1).map(Number);
  let failed = total - passed;
  if (end === 0 && failed > 0) console.error(`test/${folder}: a before or after hook threw; uvu does not show what.`);
  if (end !== 0 && failed === 0) {
    failed = 1;
    console.error(`test/${folder} passed, but the process ended badly (${end}).`);
  }
  return { passed, failed, skipped, skips };
}

/** Runs the chosen suites, folder by folder. */
async function runAll(suites) {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const skips = [];
  for (const folder of new Set(suites.map((file) => file.split("/")[0]))) {
    console.log(`\n=== test/${folder}`);
    const result = await runFolder(
      folder,
      suites.filter((file) => file.startsWith(`${folder}/`)),
    );
    totals.passed += result.passed;
    totals.failed += result.failed;
    totals.skipped += result.skipped;
    skips.push(...result.skips);
  }
  if (skips.length > 0) console.log(`\nNot tested here:\n${skips.map((line) => `  ${line}`).join("\n")}`);
  return totals;
}

const filter = process.argv[2];
const suites = chooseSuites(findSuites(), filter);
const begin = performance.now();
let totals = { passed: 0, failed: 0, skipped: 0 };
if (suites.length === 0) console.error(`No suite in test/ matches (${filter}).`);
else if (checkBuild()) totals = await runAll(suites);
else totals.failed = 1;
const seconds = ((performance.now() - begin) / 1000).toFixed(1);
console.log(`\n${suites.length} suites in ${seconds} s, Node ${process.versions.node}`);
const { passed, failed, skipped } = totals;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
if (failed > 0 || passed === 0) process.exitCode = 1;
