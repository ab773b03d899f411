/**
 * The summary page of a run: one HTML file that needs nothing else, no script and no network; light or dark as the reader's
 * system is. All text of the run is escaped.
 */
import { type ClassAccuracy, perClassAccuracy, topConfusions } from "../train/metrics.js";
import { plain } from "./axis.js";
import { confusionScene, MAX_MAP_CLASSES } from "./confusion.js";
import { curvesScene } from "./curves.js";
import type { ReportTest, RunReport } from "./run-report.js";
import { colourRules, escapeText, toSvg } from "./svg.js";

/** Classes that are listed at once, of many: the least accurate. */
const WORST = 20;
const MISTAKES = 15;

const STYLE = `
*{box-sizing:border-box}
body{margin:0;background:var(--vd-surface);color:var(--vd-ink);font:15px/1.5 system-ui,-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif}
main{max-width:900px;margin:0 auto;padding:28px 20px 56px}
h1{font-size:24px;line-height:1.25;margin:0 0 20px;overflow-wrap:anywhere}
h2{font-size:17px;margin:38px 0 10px}
p{margin:8px 0}
.muted,dt,th{color:var(--vd-muted);font-weight:400}
.tiles{display:flex;flex-wrap:wrap;gap:12px;margin:0 0 22px}
.tile{flex:1 1 130px;border:1px solid var(--vd-grid);border-radius:8px;padding:10px 14px}
.tile b{display:block;font-size:24px;font-weight:600;line-height:1.3}
dl{display:grid;grid-template-columns:minmax(80px,max-content) 1fr;gap:3px 20px;margin:0}
dd{margin:0;overflow-wrap:anywhere}
.picture{overflow-x:auto;margin:0}
.picture svg{display:block;max-width:100%;height:auto;min-width:560px}
.picture.small svg{min-width:0}
.table{overflow-x:auto}
table{border-collapse:collapse}
th,td{text-align:left;padding:3px 18px 3px 0;vertical-align:middle;overflow-wrap:anywhere}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.bar{width:min(260px,32vw);min-width:70px;height:10px;border-radius:3px;background:var(--vd-grid)}
.bar i{display:block;height:10px;border-radius:3px;background:var(--vd-right)}
pre{overflow-x:auto;background:color-mix(in srgb,var(--vd-grid) 45%,transparent);border-radius:6px;padding:9px 13px;margin:4px 0 14px;font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
ol{padding-left:24px;margin:0}
summary{cursor:pointer;color:var(--vd-muted);margin-top:8px}
@media print{pre{white-space:pre-wrap}}
`;

/** The page as HTML text. Equal reports give equal text. */
export function summaryPage(report: RunReport): string {
  const title = escapeText(report.title);
  return [
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    // Without it a browser asks the server for an icon.
    '<link rel="icon" href="data:,">',
    `<title>${title}</title>\n<style>${colourRules(":root")}${STYLE}</style>\n</head>\n<body>\n<main>\n<h1>${title}</h1>`,
    tiles(report),
    facts(report),
    section("Learning curves", `<figure class="picture">${toSvg(curvesScene(report, true), true)}</figure>`),
    events(report),
    report.test ? testSections(report.test) : "",
    commands(report),
    "</main>\n</body>\n</html>\n",
  ].join("\n");
}

function section(heading: string, content: string): string {
  return `<section>\n<h2>${heading}</h2>\n${content}\n</section>`;
}

/** The numbers that one looks for first. */
function tiles({ test, epochs }: RunReport): string {
  const best = epochs.reduce<(typeof epochs)[number] | null>(
    (a, b) => (a === null || b.valTop1 > a.valTop1 ? b : a),
    null,
  );
  const entries: [string, string][] = [];
  if (test)
    entries.push(
      ["test top-1", percent(test.top1)],
      ["test top-5", percent(test.top5)],
      ["test loss", loss(test.loss)],
    );
  if (best) entries.push([`best validation top-1, epoch ${plain(best.epoch)}`, percent(best.valTop1)]);
  const last = epochs.at(-1);
  if (last) entries.push([`training loss, epoch ${plain(last.epoch)}`, loss(last.trainLoss)]);
  if (entries.length === 0) return '<p class="muted">No epoch is done yet.</p>';
  return `<div class="tiles">${entries.map(([name, value]) => `<div class="tile"><b>${value}</b><span class="muted">${name}</span></div>`).join("")}</div>`;
}

function facts({ facts }: RunReport): string {
  if (facts.length === 0) return "";
  return `<dl>${facts.map(([name, value]) => `<dt>${escapeText(name)}</dt><dd>${escapeText(value)}</dd>`).join("\n")}</dl>`;
}

function events({ events }: RunReport): string {
  if (events.length === 0) return "";
  const items = events.map(({ step, text }) => `<li>step ${plain(step)}: ${escapeText(text)}</li>`);
  return section("Events", `<ol>${items.join("\n")}</ol>`);
}

function testSections({ confusion }: ReportTest): string {
  if (!confusion) return "";
  const { classNames, counts, undecided = 0 } = confusion;
  const mistakes = topConfusions(counts, classNames, MISTAKES).map(
    ({ truth, predicted, count, share }) =>
      `<tr><td>${escapeText(truth)}</td><td>${escapeText(predicted)}</td><td class="n">${plain(count)}</td><td class="n">${percent(share)}</td></tr>`,
  );
  const head =
    '<tr><th>true class</th><th>taken for</th><th class="n">pictures</th><th class="n">of the class</th></tr>';
  const small = classNames.length <= 12 ? " small" : "";
  const drawn = classNames.length > 0 && classNames.length <= MAX_MAP_CLASSES;
  const note =
    undecided > 0
      ? `<p>${plain(undecided)} pictures gave outputs that are no numbers (NaN) and are in no column.</p>`
      : "";
  return [
    drawn || note !== ""
      ? section(
          "Confusion matrix, test pictures",
          `${note}${drawn ? `<figure class="picture${small}">${toSvg(confusionScene(confusion, true), true)}</figure>` : ""}`,
        )
      : "",
    section(
      "Most frequent mistakes",
      mistakes.length === 0
        ? '<p class="muted">None.</p>'
        : `<div class="table"><table>${head}\n${mistakes.join("\n")}</table></div>`,
    ),
    section("Accuracy by class", classTables(perClassAccuracy(counts, classNames))),
  ].join("\n");
}

/** All classes in their order; of many the least accurate, and all where they are asked for. */
function classTables(rows: readonly ClassAccuracy[]): string {
  if (rows.length <= MAX_MAP_CLASSES) return classTable(rows);
  const known = rows.filter(({ accuracy }) => accuracy !== null);
  const worst = known.sort((a, b) => (a.accuracy ?? 0) - (b.accuracy ?? 0)).slice(0, WORST);
  return `<p class="muted">The ${worst.length} least accurate of ${plain(rows.length)}.</p>${classTable(worst)}
<details><summary>All ${plain(rows.length)} classes</summary>${classTable(rows)}</details>`;
}

function classTable(rows: readonly ClassAccuracy[]): string {
  const lines = rows.map(({ name, pictures, correct, accuracy }) => {
    const bar = accuracy === null ? "" : `<div class="bar"><i style="width:${(100 * accuracy).toFixed(1)}%"></i></div>`;
    const share = accuracy === null ? "no picture" : percent(accuracy);
    return `<tr><td>${escapeText(name)}</td><td>${bar}</td><td class="n">${share}</td><td class="n muted">${plain(correct)} of ${plain(pictures)}</td></tr>`;
  });
  return `<div class="table"><table>${lines.join("\n")}</table></div>`;
}

function commands({ commands = [] }: RunReport): string {
  if (commands.length === 0) return "";
  const items = commands.map(([what, command]) => `<p>${escapeText(what)}</p><pre>${escapeText(command)}</pre>`);
  return section("What to do with the files", items.join("\n"));
}

function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "–";
}

function loss(value: number): string {
  return Number.isFinite(value) ? value.toFixed(4) : "not finite";
}
