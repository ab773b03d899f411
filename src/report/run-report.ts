/** What a training run tells about itself: the input of every picture and page of this folder. Plain data. */

/** One training step. */
export interface ReportStep {
  /** Over the whole run, from 1. */
  readonly step: number;
  readonly epoch: number;
  /** May be NaN or infinite: a diverged step. */
  readonly loss: number;
  /** Share of the batch, 0 to 1. */
  readonly accuracy: number;
  readonly lr: number;
}

/** One epoch, with its validation; shares are 0 to 1. */
export interface ReportEpoch {
  readonly epoch: number;
  /** The last step of the epoch. */
  readonly step: number;
  readonly trainLoss: number;
  readonly valLoss: number;
  readonly valTop1: number;
  readonly valTop5: number;
  readonly lr: number;
}

/** Something that happened after a step: a plateau drop, a resume. */
export interface ReportEvent {
  readonly step: number;
  readonly text: string;
}

/** Which classes were taken for which. */
export interface ReportConfusion {
  readonly classNames: readonly string[];
  /** [classes, classes]: row the true class, column the predicted one. */
  readonly counts: Uint32Array;
  /** Pictures in no column: a NaN among their logits. */
  readonly undecided?: number;
}

/** The result on the test pictures; shares are 0 to 1. */
export interface ReportTest {
  readonly top1: number;
  readonly top5: number;
  readonly loss: number;
  readonly confusion: ReportConfusion | null;
}

/** What a run was and how it went: all that its summary page shows. */
export interface RunReport {
  readonly title: string;
  /** Names and values of what was run, in the order to show them. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** In rising order of steps. */
  readonly steps: readonly ReportStep[];
  readonly epochs: readonly ReportEpoch[];
  readonly events: readonly ReportEvent[];
  /** null before the run is tested. */
  readonly test: ReportTest | null;
  /** What can be done with the run's files, and the command for it. */
  readonly commands?: readonly (readonly [what: string, command: string])[];
}
