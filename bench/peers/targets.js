// What the project wants of its speed, targets.json, beside what rows say: the ratio of ours to the fastest of some engines, measured
// in one interleaved run.

import { readFileSync } from "node:fs";
import { CASE_NAMES, titleOf } from "./cases.js";
import { WASM_TIERS } from "./engines.js";
import { groupsOf } from "./rows.js";

const TARGETS = JSON.parse(readFileSync(new URL("./targets.json", import.meta.url), "utf8"));

/** The newest run of each case and number of threads, in the order of cases and of threads. */
export function newestGroups(rows) {
  const newest = new Map(groupsOf(rows).map((group) => [`${group.case} ${group.askedThreads}`, group]));
  return [...newest.values()].sort(
    (a, b) => CASE_NAMES.indexOf(a.case) - CASE_NAMES.indexOf(b.case) || a.askedThreads - b.askedThreads,
  );
}

/** The measured row of a group with the least minimum among these engines; undefined where none ran. */
export function fastestOf(group, engines) {
  const rows = group.rows.filter(({ engine, cannot }) => engines.includes(engine) && !cannot);
  return rows.sort((a, b) => a.minMs - b.minMs)[0];
}

/**
 * All targets: [{case, threads, against, ratios {tier: {min, median, atMost, met}}}]; `against` is the row that ours is compared with,
 * null where none was measured, and a tier that was not measured has only `atMost`. A target is met by the ratio of minima.
 */
export function judge(rows) {
  const groups = newestGroups(rows);
  return TARGETS.flatMap(({ case: name, threads, against, atMost }) =>
    threads.map((count) => {
      const group = groups.find((group) => group.case === name && group.askedThreads === count);
      const other = (group && fastestOf(group, against)) ?? null;
      const ratios = WASM_TIERS.map((tier) => {
        const over = other?.oursOver[tier];
        return [tier, { ...over, atMost: atMost[tier], ...(over && { met: over.min <= atMost[tier] }) }];
      });
      return { case: name, threads: count, against: other, asked: against, ratios: Object.fromEntries(ratios) };
    }),
  );
}

const verdict = ({ met }) => (met === undefined ? "not measured" : met ? "met" : "MISSED");

/** The targets as lines for people, and how many are met at the end. */
export function formatTargets(targets) {
  const lines = ["ours / theirs, of minima (of medians); a target is met by minima"];
  const all = [];
  for (const { case: name, threads, against, asked, ratios } of targets) {
    const other = against ? `${against.engine}, ${against.threads} thread${against.threads > 1 ? "s" : ""}` : asked[0];
    lines.push(`${titleOf(name)}, ours with ${threads} thread${threads > 1 ? "s" : ""}, against ${other}`);
    for (const [tier, ratio] of Object.entries(ratios)) {
      const { min, median, atMost } = ratio;
      const measured = min === undefined ? "–" : `${min.toFixed(3)} (${median.toFixed(3)})`;
      lines.push(`  ${tier.padEnd(8)} ${measured.padEnd(15)} at most ${atMost.toFixed(2)}   ${verdict(ratio)}`);
      all.push(verdict(ratio));
    }
  }
  const count = (text) => all.filter((verdict) => verdict === text).length;
  lines.push(`${count("met")} met, ${count("MISSED")} missed, ${count("not measured")} not measured`);
  return lines.join("\n");
}
