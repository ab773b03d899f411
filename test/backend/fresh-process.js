// Tiers in a process in which nobody has set a flag of V8 yet; prints what it saw as JSON. Plain JavaScript, so that any Node runs it.
import { defaultTier, enterTier, hasRelaxedSimd, possibleTiers } from "../../dist/backend/wasm/tiers.js";
import { createEngine } from "../../dist/index.js";

const flags = [];
/** A host that sets no flag, or only notes what it should set. */
const hosts = [
  { v8: null },
  {
    v8: {
      setFlag: async (flag) => flags.push(flag),
      machine: async () => ({ nodeMajor: 20, arch: "x64", cpuFlags: null }),
    },
  },
];

const before = hasRelaxedSimd();
const refused = [];
const possible = [];
for (const host of hosts) {
  refused.push(await enterTier("relaxed", host).catch(String));
  possible.push(await possibleTiers(host));
}
const relaxed = (await createEngine({ threads: 1, tier: "relaxed" })).tier;
const after = hasRelaxedSimd();
const auto = (await createEngine({ threads: 1 })).tier;
console.log(JSON.stringify({ before, refused, possible, flags, relaxed, after, auto, default: defaultTier() }));
