/**
 * The one place that knows where output goes: a terminal (colours, a live bar), a pipe (plain lines), or a program that reads JSON.
 * Commands say what there is to tell; this decides how. Results go to stdout, the bar and complaints to stderr.
 */
import { cliProgress, picocolors } from "../vendor/command-line.js";
import { duration } from "./numbers.js";

/** process.stdout or process.stderr, or what stands in for them. */
export type OutputStream = NodeJS.WritableStream & { readonly isTTY?: boolean };

/** How to make an {@link Output}. */
export interface OutputOptions {
  readonly json: boolean;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A bar that is being drawn; does nothing where there is no terminal. */
export interface Progress {
  /** Moves the bar and shows a text behind it. */
  update(done: number, text: string): void;
  /** Removes the bar, so that lines may be printed. */
  end(): void;
}

/** Functions that colour text, or leave it as it is. */
export type Paint = ReturnType<typeof picocolors.createColors>;

/** Whether a stream should get colours: a terminal that knows them, and nobody asked for none (no-color.org). */
export function wantsColour(stream: { readonly isTTY?: boolean }, env: OutputOptions["env"]): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
}

/** An error as one line, without a stack trace. */
export function errorLine(error: unknown): string {
  const message = error instanceof Error ? error.message || error.name : String(error);
  return printable(message.replace(/\s*\n\s*/g, " ").trim());
}

/** Text that comes from files: without the control characters by which it could write elsewhere on a terminal, or worse. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, "?");
}

/** An error as JSON shows it. */
export function errorRecord(error: unknown): { name: string; message: string } {
  return { name: error instanceof Error ? error.name : "Error", message: errorLine(error) };
}

/** The time that is left; "?" before that can be told. */
export function remaining(seconds: number): string {
  return Number.isFinite(seconds) ? duration(seconds) : "?";
}

/** Tells the user things. */
export class Output {
  readonly json: boolean;
  /** Whether stdout is a terminal that can draw. */
  readonly terminal: boolean;
  /** Colours of stdout. */
  readonly paint: Paint;
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;
  readonly #env: OutputOptions["env"];
  #bar: Progress | undefined;
  /** Called when the reader of stdout has gone (| head); by default the program then ends, quietly. */
  onPipeClosed: (() => void) | undefined;

  constructor(options: OutputOptions) {
    this.json = options.json;
    this.#stdout = options.stdout;
    this.#stderr = options.stderr;
    this.#env = options.env;
    this.terminal = options.stdout.isTTY === true && options.env.TERM !== "dumb";
    this.paint = picocolors.createColors(wantsColour(options.stdout, options.env));
  }

  /** A line for people; nothing under --json. */
  line(text = ""): void {
    if (!this.json) this.#stdout.write(`${text}\n`);
  }

  /** A line for programs; nothing without --json. */
  record(value: object): void {
    if (this.json) this.#stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** Something about the run, not of its results: to stderr; nothing under --json. */
  note(text: string): void {
    this.endProgress();
    if (!this.json) this.#stderr.write(`${text}\n`);
  }

  /**
   * An error: one red line on stderr, or under --json one object on stdout. VERYDEEP_DEBUG=1 adds the stack trace, on stderr.
   * @param about keys to put before it in the object, such as the picture that failed.
   */
  error(error: unknown, about: object = {}): void {
    this.endProgress();
    this.record({ ...about, error: errorRecord(error) });
    const red = picocolors.createColors(wantsColour(this.#stderr, this.#env)).red;
    if (!this.json) this.#stderr.write(`${red(errorLine(error))}\n`);
    if (this.#env.VERYDEEP_DEBUG === "1" && error instanceof Error) this.#stderr.write(`${error.stack}\n`);
  }

  /** Removes the bar, if one is drawn, and shows the cursor again. */
  endProgress(): void {
    this.#bar?.end();
  }

  /** Begins a live bar on stderr where that is a terminal. */
  progress(label: string, total: number): Progress {
    this.endProgress();
    if (this.json || this.#stderr.isTTY !== true || this.#env.TERM === "dumb") return NO_PROGRESS;
    const { cyan } = picocolors.createColors(wantsColour(this.#stderr, this.#env));
    const bar = new cliProgress.SingleBar({
      stream: this.#stderr,
      format: `${label} ${cyan("{bar}")} {value}/{total} {text} ETA {eta_formatted}`,
      barCompleteChar: "█",
      barIncompleteChar: "░",
      barsize: 16,
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false,
      formatTime: (seconds) => remaining(seconds),
    });
    bar.start(total, 0, { text: "" });
    const progress: Progress = {
      update: (done, text) => bar.update(done, { text }),
      end: () => {
        bar.stop();
        this.#bar = undefined;
      },
    };
    this.#bar = progress;
    return progress;
  }
}

const NO_PROGRESS: Progress = { update: () => undefined, end: () => undefined };
