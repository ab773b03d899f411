// Kills a small training run at random moments, again and again until it is done, and compares its weights with those of a
// run that nobody disturbed.
//
//   node scripts/long/kill-resume.js [runs] [seed]      after npm run build; default 100 runs
//
// A checkpoint is written after every step, so many kills fall into its writing. One JSON line at the end.
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const SMALL = ["--data", "shapes:200", "--width", "0.05", "--classifier", "8", "--epochs", "4", "--batch", "16"];
const KEPT = ["--checkpoint-every", "1", "--threads", "1", "--json"];

const runs = Number(process.argv[2] ?? 100);
const random = linear(Number(process.argv[3] ?? 1));

/** Numbers in [0, 1): the moments of the kills; what they hit depends on the machine. */
function linear(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}

function verydeep(args, cwd) {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { cwd }, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
  });
}

/**
 * Runs the program and kills it so many milliseconds after it has begun, or after its first record; says whether it was
 * still running.
 */
function killed(args, cwd, afterMs, afterRecord) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, ...args], { cwd, stdio: "ignore" });
    const records = path.join(cwd, "run/records.jsonl");
    const size = () => (existsSync(records) ? statSync(records).size : 0);
    const before = size();
    let timer;
    const watch = setInterval(() => {
      if (timer !== undefined || (afterRecord && size() === before)) return;
      timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
    }, 2);
    child.on("close", (_code, signal) => {
      clearInterval(watch);
      clearTimeout(timer);
      resolve(signal === "SIGKILL");
    });
  });
}

const hashOf = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");
const temporariesIn = (folder) =>
  existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".tmp")).length : 0;

const folder = mkdtempSync(path.join(tmpdir(), "verydeep-kill-"));
const train = ["train", ...SMALL, ...KEPT, "--out", "net.safetensors", "--run", "run"];
const undisturbed = path.join(folder, "undisturbed");
const counts = { runs, equal: 0, kills: 0, resumes: 0, duringWrite: 0, beforeConfig: 0 };
try {
  mkdirSync(undisturbed);
  const whole = await verydeep(train, undisturbed);
  if (whole.code !== 0) throw new Error(`the undisturbed run failed: ${whole.stdout}${whole.stderr}`);
  const trainMs = 1000 * JSON.parse(readFileSync(path.join(undisturbed, "run/result.json"), "utf8")).seconds;
  const expected = hashOf(path.join(undisturbed, "net.safetensors"));

  for (let run = 1; run <= runs; run++) {
    const cwd = path.join(folder, `run${run}`);
    mkdirSync(cwd);
    const checkpoints = path.join(cwd, "run/checkpoints");
    const next = () => (existsSync(path.join(cwd, "run/config.json")) ? ["train", "--resume", "run", ...KEPT] : train);
    // One kill at least, and each further one as likely as not.
    do {
      const begun = existsSync(path.join(cwd, "run/config.json"));
      // Starting takes most of so short a run: nine kills of ten come while it trains.
      const afterRecord = random() < 0.9;
      if (!(await killed(next(), cwd, random() * (afterRecord ? trainMs : 500), afterRecord))) break;
      counts.kills++;
      if (begun) counts.resumes++;
      if (!existsSync(path.join(cwd, "run/config.json"))) counts.beforeConfig++;
      if (temporariesIn(checkpoints) + temporariesIn(path.join(cwd, "run")) + temporariesIn(cwd) > 0)
        counts.duringWrite++;
    } while (random() < 0.5);
    const end = await verydeep(next(), cwd);
    if (end.code !== 0) throw new Error(`run ${run} was not taken up: ${end.stdout}${end.stderr}`);
    counts.resumes++;
    if (temporariesIn(checkpoints) > 0) throw new Error(`run ${run} left temporary files`);
    if (hashOf(path.join(cwd, "net.safetensors")) === expected) counts.equal++;
    else console.error(`run ${run}: other weights`);
    rmSync(cwd, { recursive: true });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(JSON.stringify(counts));
if (counts.equal !== runs) process.exitCode = 1;
