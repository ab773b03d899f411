/** Threads for a container's share of the processors, from made-up control groups. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { availableThreads, cpuQuota, threadsFor } from "#src/cpu-quota.js";

const NONE = Number.POSITIVE_INFINITY;
const V2 = "/sys/fs/cgroup";
const V1 = "/sys/fs/cgroup/cpu,cpuacct";

const CASES: readonly [what: string, files: Readonly<Record<string, string>>, quota: number][] = [
  ["no control groups", {}, NONE],
  ["version 2: 1.5 processors", { "/proc/self/cgroup": "0::/\n", [`${V2}/cpu.max`]: "150000 100000\n" }, 1.5],
  ["version 2: no limit", { "/proc/self/cgroup": "0::/\n", [`${V2}/cpu.max`]: "max 100000\n" }, NONE],
  [
    "version 2: the smallest of a group and those above it",
    {
      "/proc/self/cgroup": "0::/a/b/c\n",
      [`${V2}/a/b/c/cpu.max`]: "max 100000\n",
      [`${V2}/a/b/cpu.max`]: "800000 100000\n",
      [`${V2}/a/cpu.max`]: "50000 20000\n",
    },
    2.5,
  ],
  [
    "version 2 in a container: the path is the host's, the root the container's own",
    { "/proc/self/cgroup": "0::/docker/1f2e\n", [`${V2}/cpu.max`]: "200000 100000" },
    2,
  ],
  [
    "version 1",
    {
      "/proc/self/cgroup": "11:memory:/m\n4:cpu,cpuacct:/d/1\n1:name=systemd:/s\n",
      [`${V1}/d/1/cpu.cfs_quota_us`]: "-1\n",
      [`${V1}/d/1/cpu.cfs_period_us`]: "100000\n",
      [`${V1}/d/cpu.cfs_quota_us`]: "25000\n",
      [`${V1}/d/cpu.cfs_period_us`]: "50000\n",
    },
    0.5,
  ],
  [
    "both: version 1 with the controller, version 2 beside it",
    {
      "/proc/self/cgroup": "3:cpu:/x\n0::/y\n",
      "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "300000",
      "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000",
    },
    3,
  ],
  [
    "another controller, whose name has cpu in it",
    {
      "/proc/self/cgroup": "3:cpuset:/\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "1",
      "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "1",
    },
    NONE,
  ],
  [
    "files that make no sense",
    { "/proc/self/cgroup": "0::/a\nx\n", [`${V2}/a/cpu.max`]: "0 0\n", [`${V2}/cpu.max`]: "" },
    NONE,
  ],
];

for (const [what, files, quota] of CASES) {
  test(`${what}: ${quota}`, async () => {
    assert.is(await cpuQuota(async (path) => files[path] ?? null), quota);
  });
}

test("threads: quotas round up, and there is at least one", () => {
  assert.is(threadsFor(8, NONE), 8);
  assert.is(threadsFor(8, 1.5), 2);
  assert.is(threadsFor(8, 0.2), 1);
  assert.is(threadsFor(8, 2), 2);
  assert.is(threadsFor(2, 6), 2);
  assert.is(threadsFor(0, NONE), 1);
});

test("threads here: a whole number", async () => {
  const threads = await availableThreads();
  assert.ok(Number.isInteger(threads) && threads >= 1);
});

test.run();
