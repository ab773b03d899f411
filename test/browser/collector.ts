/**
 * Stands in for uvu in pages (op-bundles.ts): keeps the tests that a file registers, and runs them one after the other as uvu does. What
 * failed is told test by test, so that Node can report each under its own name.
 */

type Handler = () => unknown;

interface Registered {
  readonly name: string;
  /** Null: skipped. */
  readonly run: Handler | null;
}

interface Suite {
  readonly tests: Registered[];
  readonly before: Handler[];
  readonly after: Handler[];
}

/** How a test ended. */
export interface TestResult {
  readonly name: string;
  readonly skipped: boolean;
  /** Null where it passed. */
  readonly error: string | null;
}

const suites: Suite[] = [];

export function suite(_name = "") {
  let current: Suite = { tests: [], before: [], after: [] };
  return Object.assign((name: string, run: Handler) => void current.tests.push({ name, run }), {
    skip: (name: string) => void current.tests.push({ name, run: null }),
    before: (hook: Handler) => void current.before.push(hook),
    after: (hook: Handler) => void current.after.push(hook),
    run: () => {
      suites.push(current);
      current = { tests: [], before: [], after: [] };
    },
  });
}

export const test = suite();

/** Names of the tests that were registered since the last time, which then are forgotten. */
export function takeNames(): string[] {
  return suites.splice(0).flatMap(({ tests }) => tests.map(({ name }) => name));
}

/** Runs all that are registered, and tells each as it ends. @throws what a hook throws. */
export async function runAll(report: (result: TestResult) => unknown): Promise<void> {
  for (const { tests, before, after } of suites) {
    for (const hook of before) await hook();
    for (const { name, run } of tests) await report({ name, skipped: run === null, error: await errorOf(run) });
    for (const hook of after) await hook();
  }
}

async function errorOf(run: Handler | null): Promise<string | null> {
  try {
    await run?.();
    return null;
  } catch (error) {
    return error instanceof Error ? `${error.message}\n${error.stack ?? ""}` : String(error);
  }
}
