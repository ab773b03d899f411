/**
 * Small notes from one process to later ones, in the user's folder for caches: what was measured of a GPU. Whatever cannot be read or written is
 * done without.
 */
import { mkdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { cacheFolder } from "./cache-folder.js";
import { writeFileAtomically } from "./io/atomic-file.js";

/** The file of a note; null where nothing says where caches are. */
function noteFile(name: string): string | null {
  const folder = cacheFolder({ platform: process.platform, env: process.env, home: homedir() });
  if (folder === null) return null;
  const safe = name.replace(/[^a-z0-9]+/gi, "-").slice(0, 120);
  return path.join(folder, "notes", `${safe}.json`);
}

export async function recallNote(name: string): Promise<string | null> {
  const file = noteFile(name);
  return file === null ? null : readFile(file, "utf8").catch(() => null);
}

export async function rememberNote(name: string, text: string): Promise<void> {
  const file = noteFile(name);
  if (file === null) return;
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFileAtomically("notes", file, async (handle) => {
      await handle.writeFile(text);
    });
  } catch {
    // A folder that cannot be written to: it is measured again next time.
  }
}
