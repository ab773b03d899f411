/**
 * How good a classifier is, counted on the host from its logits: top-1, top-5, the confusion matrix, and what can be read
 * from it. Pure functions and one counter; evaluate.ts feeds it.
 *
 * NaN: a row of logits that has one has no best class (argmax is -1), and its label is never ranked first, as in the kernel
 * `labelRank`. So a picture counts for top-1 exactly when it counts on the diagonal of the matrix.
 */
import { ShapeError, UsageError } from "../core/errors.js";

/** Index of the largest value; of equal ones the smallest. -1 for an empty row and for one that has a NaN. */
export function argmax(row: ArrayLike<number>): number {
  let best = -1;
  for (let c = 0; c < row.length; c++) {
    if (Number.isNaN(row[c])) return -1;
    if (best < 0 || row[c] > row[best]) best = c;
  }
  return best;
}

/**
 * How many classes are ahead of `label`: those with a larger logit, and those with an equal one and a smaller index. A NaN is
 * ahead of every label, and every class is ahead of a label whose own logit is NaN.
 * @throws UsageError for a label that is no class.
 */
export function rankOf(row: ArrayLike<number>, label: number): number {
  if (!(Number.isInteger(label) && label >= 0 && label < row.length)) {
    throw new UsageError(
      `rankOf: the label is not a class (label ${label}, classes ${row.length}). Use an integer from 0 to ${row.length - 1}.`,
    );
  }
  const own = row[label];
  let rank = 0;
  for (let c = 0; c < row.length; c++) {
    const behind = row[c] < own || (row[c] === own && c > label);
    if (c !== label && !behind) rank++;
  }
  return rank;
}

/** Counts predictions, batch by batch. */
export class PredictionCounts {
  /** [classes, classes]: row the true class, column the predicted one. */
  readonly confusion: Uint32Array;
  /** Pictures counted so far. */
  pictures = 0;
  /** Of these: the true class came first. */
  top1 = 0;
  /** The true class was among the first five. */
  top5 = 0;
  /** Pictures with a NaN among their logits: in no column of the matrix. */
  undecided = 0;

  constructor(readonly classes: number) {
    this.confusion = new Uint32Array(classes * classes);
  }

  /**
   * @param logits [rows, classes]
   * @param labels [rows]
   * @throws ShapeError where the sizes do not fit; UsageError for a label that is no class. Nothing is counted then.
   */
  add(logits: Float32Array | Float64Array, labels: ArrayLike<number>): void {
    const { classes } = this;
    if (logits.length !== labels.length * classes) {
      throw new ShapeError(
        `PredictionCounts.add: the logits are not rows x classes (logits [${logits.length}], labels [${labels.length}], classes ${classes}). ` +
          "Pass one row of logits for each label.",
      );
    }
    const rows = Array.from(labels, (label, row) => {
      const values = logits.subarray(row * classes, (row + 1) * classes);
      return { label, rank: rankOf(values, label), predicted: argmax(values) };
    });
    for (const { label, rank, predicted } of rows) {
      this.pictures++;
      if (rank < 1) this.top1++;
      if (rank < 5) this.top5++;
      if (predicted < 0) this.undecided++;
      else this.confusion[label * classes + predicted]++;
    }
  }
}

/** How well one class is recognised. */
export interface ClassAccuracy {
  readonly name: string;
  /** Pictures of this class: the sum of its row. */
  readonly pictures: number;
  readonly correct: number;
  /** correct / pictures; null where there is no picture. */
  readonly accuracy: number | null;
}

/**
 * Accuracy of each class, in the order of the classes.
 * @param counts [classes, classes], row the true class.
 * @throws ShapeError where counts and names do not fit.
 */
export function perClassAccuracy(counts: ArrayLike<number>, names: readonly string[]): ClassAccuracy[] {
  checkCounts("perClassAccuracy", counts, names);
  const classes = names.length;
  return names.map((name, truth) => {
    let pictures = 0;
    for (let c = 0; c < classes; c++) pictures += counts[truth * classes + c];
    const correct = counts[truth * classes + truth];
    return { name, pictures, correct, accuracy: pictures > 0 ? correct / pictures : null };
  });
}

/** One kind of mistake: pictures of `truth` that were taken for `predicted`. */
export interface Confusion {
  readonly truth: string;
  readonly predicted: string;
  readonly count: number;
  /** Of the pictures of the true class. */
  readonly share: number;
}

/**
 * The most frequent mistakes, the most frequent first; equal ones in the order of the classes.
 * @param counts [classes, classes], row the true class.
 * @throws ShapeError where counts and names do not fit.
 */
export function topConfusions(counts: ArrayLike<number>, names: readonly string[], limit = 20): Confusion[] {
  checkCounts("topConfusions", counts, names);
  const rows = perClassAccuracy(counts, names);
  const classes = names.length;
  const wrong: number[] = [];
  for (let i = 0; i < counts.length; i++) if (counts[i] > 0 && i % (classes + 1) !== 0) wrong.push(i);
  // The sort is stable: equal counts stay in the order of their places.
  return wrong
    .sort((a, b) => counts[b] - counts[a])
    .slice(0, limit)
    .map((i) => {
      const truth = Math.floor(i / classes);
      const count = counts[i];
      return { truth: names[truth], predicted: names[i % classes], count, share: count / rows[truth].pictures };
    });
}

function checkCounts(op: string, counts: ArrayLike<number>, names: readonly string[]): void {
  if (counts.length === names.length ** 2) return;
  throw new ShapeError(
    `${op}: the counts are not classes x classes (counts [${counts.length}], names [${names.length}]). Pass a square matrix and a name for each class.`,
  );
}
