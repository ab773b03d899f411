/**
 * One process at a time for a file: `FILE.lock`, made only where it is not there, names its holder, who touches it every few seconds. A
 * lock whose holder is dead, or has not touched it for long, is taken away. Should two believe that they hold it (a machine that slept,
 * a race for an abandoned lock), then the loser finds out in {@link Lock.check}, before it puts its file in place.
 */
import { randomUUID } from "node:crypto";
import { readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { WeightsError } from "../core/errors.js";
import { errorCode } from "../io/atomic-file.js";

const TOUCH_MS = 5_000;
const ABANDONED_MS = 60_000;
const POLL_MS = 200;

/** Who holds a lock. */
export interface Holder {
  readonly token: string;
  readonly pid: number;
  readonly host: string;
}

/** A lock that is held. */
export interface Lock {
  /** @throws WeightsError where somebody else holds it by now. */
  check(): Promise<void>;
}

/**
 * Does work while holding a lock.
 * @param onWait called once if another process holds it, before waiting.
 */
export async function withLock<T>(
  file: string,
  { signal, onWait }: { readonly signal?: AbortSignal | undefined; onWait(holder: Holder | null): void },
  work: (lock: Lock) => Promise<T>,
): Promise<T> {
  const own: Holder = { token: randomUUID(), pid: process.pid, host: hostname() };
  for (let isWaiting = false; !(await tryCreate(file, own)); ) {
    signal?.throwIfAborted();
    const found = await look(file);
    if (found === undefined) continue;
    if (isAbandoned(found.holder, found.ageMs, own.host, isAlive)) {
      await takeAway(file, found.holder, own.token);
      continue;
    }
    if (!isWaiting) onWait(found.holder);
    isWaiting = true;
    await delay(POLL_MS, undefined, signal ? { signal } : {});
  }
  const timer = setInterval(() => {
    const now = new Date();
    // A lock that is gone shows in check().
    utimes(file, now, now).catch(() => undefined);
  }, TOUCH_MS);
  timer.unref();
  const isOwn = async (): Promise<boolean> => (await look(file))?.holder?.token === own.token;
  try {
    return await work({
      async check() {
        if (await isOwn()) return;
        throw new WeightsError(`pull: another process took over (lock ${file}). Wait until it is done, and try again.`);
      },
    });
  } finally {
    clearInterval(timer);
    if (await isOwn()) await rm(file, { force: true });
  }
}

/** Whether a lock may be taken away: its holder is a dead process of this machine, or has not touched it for long. */
export function isAbandoned(
  holder: Holder | null,
  ageMs: number,
  host: string,
  isAlive: (pid: number) => boolean,
): boolean {
  return ageMs > ABANDONED_MS || (holder !== null && holder.host === host && !isAlive(holder.pid));
}

async function tryCreate(file: string, own: Holder): Promise<boolean> {
  try {
    await writeFile(file, JSON.stringify(own), { flag: "wx" });
    return true;
  } catch (error) {
    // EPERM: on Windows, a lock that is just being removed.
    if (errorCode(error) === "EEXIST" || (errorCode(error) === "EPERM" && process.platform === "win32")) return false;
    throw error;
  }
}

/** Holder and age of a lock; a null holder where it is not (yet) readable, undefined where there is no lock. */
async function look(file: string): Promise<{ holder: Holder | null; ageMs: number } | undefined> {
  try {
    const text = await readFile(file, "utf8");
    return { holder: parseHolder(text), ageMs: Date.now() - (await stat(file)).mtimeMs };
  } catch (error) {
    // EPERM and EBUSY: on Windows, a lock that is just being removed.
    const isGoing = process.platform === "win32" && ["EPERM", "EBUSY"].includes(errorCode(error));
    if (errorCode(error) === "ENOENT" || isGoing) return undefined;
    throw error;
  }
}

function parseHolder(text: string): Holder | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    if (!("token" in value && "pid" in value && "host" in value)) return null;
    const { token, pid, host } = value;
    return typeof token === "string" && typeof pid === "number" && typeof host === "string"
      ? { token, pid, host }
      : null;
  } catch {
    return null;
  }
}

/** Removes an abandoned lock by renaming it, which one process alone can do; what proves to be another's is put back. */
async function takeAway(file: string, abandoned: Holder | null, token: string): Promise<void> {
  const aside = `${file}.${token}`;
  try {
    await rename(file, aside);
    const text = await readFile(aside, "utf8");
    if (abandoned !== null && parseHolder(text)?.token !== abandoned.token) await writeFile(file, text, { flag: "wx" });
  } catch (error) {
    if (!["ENOENT", "EEXIST"].includes(errorCode(error))) throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}
