/**
 * How many threads pay: the processors that this process may run on, and no more than the CPU time that a container grants it.
 * Control groups say how much that is, in microseconds of CPU time a period:
 *
 *   /proc/self/cgroup    0::/docker/1f…                version 2: one tree
 *                        4:cpu,cpuacct:/docker/1f…     version 1: a tree a controller
 *   version 2            cpu.max                       150000 100000, or max 100000
 *   version 1            cpu.cfs_quota_us              150000, or -1; and cpu.cfs_period_us
 *
 * The quotas of all groups up to the root hold. Inside a container the path of /proc/self/cgroup may be the host's and not be there;
 * then the root that is mounted is the container's own.
 */

/** Reads a small file; null where there is none. */
export type ReadText = (path: string) => Promise<string | null>;

const ROOT = "/sys/fs/cgroup";
/** Where a tree of version 1 with the controller `cpu` may be mounted. */
const CPU_ROOTS = [`${ROOT}/cpu`, `${ROOT}/cpu,cpuacct`, `${ROOT}/cpuacct,cpu`];

/** Processors' worth of time that the control groups grant: 1.5, for example; Infinity where they set no limit. */
export async function cpuQuota(read: ReadText): Promise<number> {
  const groups = ((await read("/proc/self/cgroup")) ?? "").split("\n").map((line) => /^\d+:([^:]*):(\/.*)$/.exec(line));
  let quota = Number.POSITIVE_INFINITY;
  for (const [, controllers, path] of groups.filter((group) => group !== null)) {
    const version2 = controllers === "";
    if (!version2 && !controllers.split(",").includes("cpu")) continue;
    for (const root of version2 ? [ROOT, `${ROOT}/unified`] : CPU_ROOTS) {
      for (const group of upwards(path)) {
        quota = Math.min(quota, version2 ? await quota2(root + group, read) : await quota1(root + group, read));
      }
    }
  }
  return quota;
}

/** /a/b, /a, and the root as nothing. */
function upwards(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "");
  return [...parts.map((_, i) => `/${parts.slice(0, parts.length - i).join("/")}`), ""];
}

async function quota2(group: string, read: ReadText): Promise<number> {
  const [quota, period] = ((await read(`${group}/cpu.max`)) ?? "").trim().split(/\s+/);
  return share(quota, period);
}

async function quota1(group: string, read: ReadText): Promise<number> {
  return share(await read(`${group}/cpu.cfs_quota_us`), await read(`${group}/cpu.cfs_period_us`));
}

/** quota / period; Infinity for `max`, for -1, and for what is no number. */
function share(quota: string | null | undefined, period: string | null | undefined): number {
  const value = Number.parseInt(quota ?? "", 10) / Number.parseInt(period ?? "", 10);
  return value > 0 ? value : Number.POSITIVE_INFINITY;
}

/**
 * The whole number of threads for so many processors and such a quota. Quotas round up: with 1.5 processors two threads do 1.5 times
 * the work of one, being stopped together for a quarter of each period, and a half would be left unused by one thread.
 */
export function threadsFor(processors: number, quota: number): number {
  return Math.max(1, Math.min(processors, Math.ceil(quota)));
}

/** Threads for this process. */
export async function availableThreads(): Promise<number> {
  const [{ availableParallelism }, { readFile }] = await Promise.all([import("node:os"), import("node:fs/promises")]);
  const quota = await cpuQuota((path) => readFile(path, "utf8").catch(() => null));
  return threadsFor(availableParallelism(), quota);
}
