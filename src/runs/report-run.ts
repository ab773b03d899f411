/** The pictures and the page of a run's folder, from its records: report/ draws them. */
import type { ReportTest, RunReport } from "../report/run-report.js";
import { writeReport } from "../report/write-report.js";
import type { TrainRequest } from "./request.js";
import type { KeptRecord, RunFolder } from "./run-folder.js";

/** Draws the folder's curves and page anew. */
export async function reportRun(folder: RunFolder, request: TrainRequest, test: ReportTest | null): Promise<void> {
  await writeReport(folder.path, reportOf(folder.path, request, await folder.records(), test));
}

/** What a run's records tell. */
export function reportOf(
  folder: string,
  request: TrainRequest,
  records: readonly KeptRecord[],
  test: ReportTest | null,
): RunReport {
  return {
    title: `VGG ${request.config} on ${request.data}`,
    facts: factsOf(request),
    steps: records.flatMap((record) => (record.kind === "step" ? [record] : [])),
    epochs: records.flatMap((record) => (record.kind === "epoch" ? [record] : [])),
    events: records.flatMap((record) => (record.kind === "event" ? [{ step: record.step, text: record.text }] : [])),
    test,
    commands: [
      ...(test === null ? [["go on where it stopped", `verydeep train --resume ${folder}`] as const] : []),
      ["classify with its best weights", `verydeep classify PICTURE --weights ${folder}/best.safetensors`],
    ],
  };
}

function factsOf(request: TrainRequest): (readonly [string, string])[] {
  const { config, batchNorm, width, classifier, dropout, init, initFrom, data, input, scale, seed } = request;
  const { cropPadding, flip, colourShift, epochs, batch, microBatch, optimiser, lr, momentum, weightDecay } = request;
  const { schedule, warmUp, patience } = request;
  const changes = [
    ...(cropPadding > 0 ? [`moved by up to ${cropPadding}`] : []),
    ...(flip ? ["mirrored"] : []),
    ...(colourShift ? ["shifted in colour"] : []),
  ];
  const scales = scale === null || typeof scale === "number" ? String(scale) : `${scale[0]} to ${scale[1]}`;
  return [
    ["net", `VGG ${config}${batchNorm ? " with batch normalisation" : ""}, width ${width}`],
    ["hidden layers", classifier.length === 0 ? "none" : `${classifier.join(", ")}, dropout ${dropout}`],
    ["weights begin", initFrom === null ? init : `${init}; ${initFrom}`],
    ["pictures", data],
    [
      "view",
      input === null ? "as they are" : `${input}x${input} of a smaller side of ${scale === null ? input : scales}`,
    ],
    ["random changes", changes.length === 0 ? "none" : changes.join(", ")],
    ["length", `${epochs} epochs of batches of ${batch}${microBatch === null ? "" : ` in parts of ${microBatch}`}`],
    ["optimiser", `${optimiser}, momentum ${momentum}, weight decay ${weightDecay}`],
    [
      "rate",
      `${lr}, ${schedule}${schedule === "plateau" ? ` (patience ${patience})` : ""}${warmUp > 0 ? `, ${warmUp} steps warm-up` : ""}`,
    ],
    ["seed", String(seed)],
  ];
}
