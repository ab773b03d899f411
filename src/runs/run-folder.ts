/**
 * The folder of a training run:
 *
 *   config.json        what was asked for, and by which version: enough to go on
 *   records.jsonl      one line a step, an epoch, an event
 *   checkpoints/       step-00000500.safetensors …, the last few
 *   best.safetensors   the weights with the best validation accuracy so far
 *   result.json        once the run is done
 *   curves.svg, curves.png, summary.html
 *
 * Every file but records.jsonl is replaced all or nothing; of records.jsonl a kill can cut the last line, which is left out
 * when it is read. So the folder can be taken up again after an end at any moment.
 */
import { appendFileSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { DamagedFileError, UsageError, WeightsError } from "../core/errors.js";
import { errorCode, explainFileError, makeFreeFolder, writeFileAtomically } from "../io/atomic-file.js";
import type { TrainRecord } from "../train/records.js";
import type { TrainingRun } from "../train/training-run.js";
import { checkpointTier, isTier, loadCheckpoint, saveCheckpoint } from "./checkpoint.js";
import type { RunTier } from "./request.js";

const CONFIG = "config.json";
const RECORDS = "records.jsonl";
const RESULT = "result.json";
const CHECKPOINTS = "checkpoints";
/** A checkpoint's name: steps done, and pictures of the step under way. */
const CHECKPOINT_NAME = /^step-(\d{8,})(?:\.(\d{6,}))?\.safetensors$/;
const FORMAT = "verydeep-run";
/** What a write that was killed leaves (io/atomic-file.ts). */
const TEMPORARY = /^\..*\.tmp$/;

/** A record as records.jsonl has it: parts of a step are not kept. */
export type KeptRecord = Exclude<TrainRecord, { kind: "micro" }>;

/** The folder of one run. */
export class RunFolder {
  private constructor(
    readonly path: string,
    /** config.json. */
    readonly config: Readonly<Record<string, unknown>>,
  ) {}

  /**
   * Makes a folder for a new run: `wanted`, or where that is taken `wanted-2`, `wanted-3`, …: nothing is overwritten.
   * @param config what to write into config.json.
   * @throws UsageError where it cannot be made.
   */
  static async create(wanted: string, config: Readonly<Record<string, unknown>>): Promise<RunFolder> {
    const folder = (await isAbandoned(wanted)) ? wanted : await makeFreeFolder("run folder", wanted);
    await mkdir(path.join(folder, CHECKPOINTS), { recursive: true });
    const complete = { format: FORMAT, node: process.versions.node, platform: process.platform, ...config };
    await writeText(path.join(folder, CONFIG), `${JSON.stringify(complete, null, 2)}\n`);
    return new RunFolder(folder, complete);
  }

  /**
   * Opens the folder of an earlier run and clears away what an interrupted write left.
   * @throws UsageError where there is none.
   */
  static async open(folder: string): Promise<RunFolder> {
    let text: string;
    try {
      text = await readFile(path.join(folder, CONFIG), "utf8");
    } catch (error) {
      throw new UsageError(
        `run folder: there is no run to go on with (folder ${folder}, ${errorCode(error)} ${CONFIG}). Name the folder of an earlier run.`,
      );
    }
    const config = parseObject(text);
    if (config?.format !== FORMAT) {
      throw new UsageError(
        `run folder: ${CONFIG} is not of a training run (folder ${folder}). Name the folder of an earlier run.`,
      );
    }
    const opened = new RunFolder(folder, config);
    await mkdir(path.join(folder, CHECKPOINTS), { recursive: true });
    for (const place of [folder, path.join(folder, CHECKPOINTS)]) await removeTemporaries(place);
    return opened;
  }

  /** A part of config.json, {} where it is missing. */
  section(name: string): Readonly<Record<string, unknown>> {
    const section = this.config[name];
    return typeof section === "object" && section !== null ? { ...section } : {};
  }

  /** A file of the folder. */
  file(name: string): string {
    return path.join(this.path, name);
  }

  /** Writes a file of the folder, all or nothing. */
  async write(name: string, content: string | Uint8Array): Promise<void> {
    await writeText(this.file(name), content);
  }

  /** Adds a line to the records. Synchronous: lines are short, and must be in order. */
  append(record: KeptRecord): void {
    try {
      appendFileSync(this.file(RECORDS), `${JSON.stringify(record)}\n`);
    } catch (error) {
      throw explainFileError("run folder", this.file(RECORDS), error);
    }
  }

  /** All whole lines of the records. */
  async records(): Promise<KeptRecord[]> {
    const text = await readFile(this.file(RECORDS), "utf8").catch(() => "");
    return text.split("\n").flatMap((line) => {
      const record = parseObject(line);
      return isRecord(record) ? [record] : [];
    });
  }

  /** Takes away the records of what happened after a checkpoint: it will happen again. */
  async truncateRecords({ step, epoch }: { readonly step: number; readonly epoch: number }): Promise<void> {
    const kept = (await this.records()).filter((record) =>
      isOfEpoch(record) ? record.epoch <= epoch : record.step <= step,
    );
    await this.write(RECORDS, kept.map((record) => `${JSON.stringify(record)}\n`).join(""));
  }

  /** Writes a checkpoint, and removes all but the `keep` newest. */
  async saveCheckpoint(run: TrainingRun, keep: number): Promise<string> {
    const { step, pictures } = run.progress;
    const part = pictures > 0 ? `.${String(pictures).padStart(6, "0")}` : "";
    const file = path.join(this.path, CHECKPOINTS, `step-${String(step).padStart(8, "0")}${part}.safetensors`);
    await saveCheckpoint(file, run);
    for (const old of (await this.checkpoints()).slice(keep)) {
      if (old !== file) await rm(old, { force: true }).catch(() => undefined);
    }
    return file;
  }

  /** Paths of the checkpoints, newest first. */
  async checkpoints(): Promise<string[]> {
    const names = await readdir(path.join(this.path, CHECKPOINTS)).catch(() => []);
    return names
      .flatMap((name) => {
        const [, step, pictures = "0"] = CHECKPOINT_NAME.exec(name) ?? [];
        return step === undefined ? [] : [{ name, step: Number(step), pictures: Number(pictures) }];
      })
      .sort((a, b) => b.step - a.step || b.pictures - a.pictures)
      .map(({ name }) => path.join(this.path, CHECKPOINTS, name));
  }

  /**
   * Takes a run to its newest whole checkpoint; damaged ones are named in `onDamaged` and put aside, as NAME.damaged.
   * @returns whether there was one; false where the run was ended before its first.
   * @throws WeightsError for checkpoints that are whole but of another net or version, unreadable, or all damaged. Nothing is
   * changed on disk then.
   */
  async restore(run: TrainingRun, onDamaged: (message: string) => void): Promise<boolean> {
    const damaged: string[] = [];
    const messages: string[] = [];
    let restored = false;
    for (const file of await this.checkpoints()) {
      try {
        await loadCheckpoint(file, run);
        restored = true;
        break;
      } catch (error) {
        if (!(error instanceof DamagedFileError)) throw error;
        damaged.push(file);
        messages.push(error.message);
      }
    }
    if (!restored && damaged.length > 0) {
      throw new WeightsError(
        `run folder: all checkpoints are damaged (folder ${this.path}, checkpoints ${damaged.length}). Begin a new run, from best.safetensors by --init-from if it is there.`,
      );
    }
    // Out of the way of new ones, which may have smaller numbers.
    for (const file of damaged) await rename(file, `${file}.damaged`);
    for (const message of messages) onDamaged(message);
    await this.truncateRecords(run.progress);
    return restored;
  }

  /** The tier of the newest checkpoint that can be read, or the one that the run began in; null: without tiers. */
  async tier(): Promise<RunTier | null> {
    for (const file of await this.checkpoints()) {
      const tier = await checkpointTier(file);
      if (tier !== null) return tier;
    }
    const { tier } = this.section("request");
    return isTier(tier) ? tier : null;
  }

  /** What {@link finish} wrote, or null while the run is not done. */
  async result(): Promise<Readonly<Record<string, unknown>> | null> {
    return parseObject(await readFile(this.file(RESULT), "utf8").catch(() => ""));
  }

  /** Says that the run is done. */
  async finish(result: object): Promise<void> {
    await this.write(RESULT, `${JSON.stringify(result, null, 2)}\n`);
  }
}

/** A folder that was made for a run which ended before its config was written. */
async function isAbandoned(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => null);
  return names?.every((name) => name === CHECKPOINTS || TEMPORARY.test(name)) ?? false;
}

async function writeText(file: string, content: string | Uint8Array): Promise<void> {
  await writeFileAtomically("run folder", file, (handle) => handle.writeFile(content));
}

/** What a write that was killed left: files that nobody knows. */
async function removeTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (TEMPORARY.test(name)) await rm(path.join(folder, name), { force: true }).catch(() => undefined);
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

/** Does it belong to the end of an epoch, after the validation? */
function isOfEpoch(record: KeptRecord): boolean {
  return record.kind === "epoch" || (record.kind === "event" && record.name === "rate");
}

/** Lines are written by append() alone, whole or cut; a whole one has the fields of its kind. */
function isRecord(value: object | null): value is KeptRecord {
  return value !== null && "kind" in value && "step" in value && "epoch" in value;
}
