/** Types of npm.js, for the tests. */
import type { ExecFileOptions } from "node:child_process";

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

export function npmCli(): string | null;
export function npm(args: readonly string[], options?: ExecFileOptions): Promise<Output>;
export function npmExec(
  packageName: string,
  args: readonly string[],
  options?: ExecFileOptions & { readonly offline?: boolean },
): Promise<Output>;
export function cachedVersion(packageName: string, program: string): Promise<string | null>;
