// The curve of a training as it grows: the loss of each step, its running mean, and the accuracy on the validation pictures after each
// epoch. An SVG that stretches with the page; its colours are the style sheet's.

/** How much of the running mean a step keeps, at most; at first it is the mean of all. */
const SMOOTHING = 0.95;
/** The first steps may lie far above all others; they do not stretch the axis. */
const FIRST_STEPS = 10;
/** Losses that are drawn, at most: of more, every second, third, … */
const MAX_POINTS = 600;
/** The loss of ten classes by chance is 2.3. */
const LEAST_TOP = 2.5;

/** Units of the drawing, both ways. */
const SIZE = 100;

export class Curve {
  #root;
  #lines;
  #steps = 1;
  #losses = [];
  #accuracies = [];
  #waiting = false;

  /** @param {HTMLElement} root holds an svg with lines of the classes `each`, `mean` and `accuracy`, and the ends of the axes. */
  constructor(root) {
    this.#root = root;
    this.#lines = Object.fromEntries(
      ["each", "mean", "accuracy"].map((name) => [name, root.querySelector(`.${name}`)]),
    );
  }

  /** Forgets what there was; so many steps will come. */
  begin(steps) {
    this.#steps = steps;
    this.#losses = [];
    this.#accuracies = [];
    this.#drawSoon();
  }

  addLoss(step, loss) {
    const before = this.#losses.at(-1)?.mean ?? loss;
    const keep = Math.min(SMOOTHING, 1 - 1 / (this.#losses.length + 1));
    this.#losses.push({ step, loss, mean: keep * before + (1 - keep) * loss });
    this.#drawSoon();
  }

  addAccuracy(step, share) {
    this.#accuracies.push({ step, share });
    const text = `After step ${step} of ${this.#steps}: loss ${this.#losses.at(-1)?.mean.toFixed(2)}, accuracy ${(100 * share).toFixed(0)} %`;
    this.#root.querySelector("svg").setAttribute("aria-label", text);
    this.#drawSoon();
  }

  /** At most once a frame, however fast steps come. */
  #drawSoon() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#draw();
    });
  }

  #draw() {
    const every = Math.ceil(this.#losses.length / MAX_POINTS);
    const losses = this.#losses.filter((_, i) => i % every === 0);
    const top = losses.reduce((most, { step, loss }) => (step > FIRST_STEPS ? Math.max(most, loss) : most), LEAST_TOP);
    const points = (samples, heightOf) =>
      samples
        .map((one) => `${((SIZE * one.step) / this.#steps).toFixed(2)},${(SIZE * (1 - heightOf(one))).toFixed(2)}`)
        .join(" ");
    this.#lines.each.setAttribute(
      "points",
      points(losses, ({ loss }) => loss / top),
    );
    this.#lines.mean.setAttribute(
      "points",
      points(losses, ({ mean }) => mean / top),
    );
    // The first point twice: a line of one is a dot.
    this.#lines.accuracy.setAttribute(
      "points",
      points([...this.#accuracies.slice(0, 1), ...this.#accuracies], ({ share }) => share),
    );
    this.#root.querySelector(".top").textContent = top.toFixed(1);
    this.#root.querySelector(".last").textContent = `step ${this.#steps}`;
  }
}
