/**
 * A TensorFlow.js model in a folder, for Node: written beside it first, then put in place, `model.json` last, so that a crash leaves the old
 * model, the new one, or shards without a `model.json`. What is written is tfjs-write.ts's.
 */
import { mkdir, mkdtemp, open, readdir, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { errorCode, explainFileError, noteUnfinished, renamePatiently } from "../../io/atomic-file.js";
import type { Stateful } from "../../io/model-format.js";
import type { NetLayer } from "../../models/net-config.js";
import { type TfjsOptions, tfjsFiles } from "./tfjs-write.js";

/**
 * Writes a net as `model.json` and shards. A folder that is not there is made; shards of an older model of another size are removed.
 * @throws WeightsError for a layer that TensorFlow.js cannot say, and for a full disk; UsageError for a folder that cannot be written.
 */
export async function writeTfjs(
  folder: string,
  layers: readonly NetLayer[],
  model: Stateful,
  options: TfjsOptions,
): Promise<void> {
  const target = path.resolve(folder);
  let draft: string | undefined;
  let finished = (): unknown => undefined;
  try {
    await mkdir(path.dirname(target), { recursive: true });
    draft = await mkdtemp(path.join(path.dirname(target), `.${path.basename(target)}.`));
    finished = noteUnfinished(draft);
    const names: string[] = [];
    for await (const { name, bytes } of tfjsFiles(layers, model, options)) {
      await writeSynced(path.join(draft, name), bytes);
      names.push(name);
    }
    await mkdir(target, { recursive: true });
    // From here on it holds the only copy.
    finished();
    // An old model.json must not be beside new shards.
    await rm(path.join(target, "model.json"), { force: true });
    for (const name of names) await renamePatiently(path.join(draft, name), path.join(target, name));
    for (const old of await readdir(target)) {
      if (/^group1-shard\d+of\d+\.bin$/.test(old) && !names.includes(old))
        await rm(path.join(target, old), { force: true });
    }
    await rmdir(draft);
  } catch (error) {
    if (draft !== undefined) await rm(draft, { recursive: true, force: true }).catch(() => undefined);
    throw errorCode(error) === "EEXIST"
      ? explainFileError("writeTfjs", folder, Object.assign(new Error("a file is in the way"), { code: "ENOTDIR" }))
      : explainFileError("writeTfjs", folder, error);
  } finally {
    finished();
  }
}

async function writeSynced(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, "wx");
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
