/** Writes the pictures and the summary page of a run into its folder: the only file here that knows Node. */
import path from "node:path";
import { writeFileAtomically } from "../io/atomic-file.js";
import { confusionSvg } from "./confusion.js";
import { curvesPng, curvesSvg } from "./curves.js";
import { summaryPage } from "./page.js";
import type { RunReport } from "./run-report.js";

/**
 * Writes `curves.svg`, `summary.html` and, once the run is tested, `curves.png` and `confusion.svg` into an existing
 * folder; each file all or nothing, over an earlier one.
 * @returns the paths written.
 * @throws UsageError where the folder is missing or not writable; WeightsError for a full disk.
 */
export async function writeReport(folder: string, report: RunReport): Promise<string[]> {
  const files: [name: string, content: string | Uint8Array][] = [
    ["curves.svg", curvesSvg(report)],
    ["summary.html", summaryPage(report)],
  ];
  // Over a second of work: not while a run goes on.
  if (report.test) files.push(["curves.png", await curvesPng(report)]);
  if (report.test?.confusion) files.push(["confusion.svg", confusionSvg(report.test.confusion)]);
  const written: string[] = [];
  for (const [name, content] of files) {
    const file = path.join(folder, name);
    await writeFileAtomically("writeReport", file, async (handle) => {
      await handle.writeFile(content);
    });
    written.push(file);
  }
  return written;
}
