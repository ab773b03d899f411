/**
 * The command line: reads the arguments, runs a command (one file each), and turns errors into exit codes:
 * 0 done, 1 failed, 2 called wrongly, 130 or 143 interrupted. Under --json, stdout carries one JSON object a line and nothing else.
 */
import { readFileSync } from "node:fs";
import { UsageError } from "../core/errors.js";
import { Command, CommanderError } from "../vendor/command-line.js";
import { addClassify } from "./classify.js";
import { addConvert } from "./convert.js";
import { addInfo } from "./info.js";
import { addInspect } from "./inspect.js";
import type { Output } from "./output.js";
import { addProfile } from "./profile.js";
import { addPull } from "./pull.js";
import { addSummary } from "./summary.js";
import { addTrain } from "./train.js";

/** What commander complains about, by its code, in the words of this library's errors. */
const COMPLAINTS: Readonly<Record<string, string>> = {
  "commander.unknownOption": "unknown option",
  "commander.unknownCommand": "unknown command",
  "commander.missingArgument": "an argument is missing",
  "commander.optionMissingArgument": "an option has no value",
};
const REMEDY = "Run it with --help to see what it takes.";

const EXAMPLES = `
Examples:
  verydeep train                                     learn the built-in pictures, write verydeep.safetensors
  verydeep train --data cifar10:FOLDER --width 0.5   learn CIFAR-10 from its binary files
  verydeep classify photo.jpg --weights verydeep.safetensors
  verydeep pull vgg16                                fetch published ImageNet weights
  verydeep summary vgg16
  verydeep profile vgg16 --train --input 64          what each layer of a training step costs`;

/**
 * Runs the program; errors are told, not thrown.
 * @param args what stands behind the program's name.
 * @returns the exit code.
 */
export async function runCommandLine(args: readonly string[], output: Output): Promise<number> {
  let exitCode = 0;
  const program = createProgram(output, (code) => {
    exitCode = code;
  });
  try {
    // commander would print the general help for `help nope`.
    const [command, asked] = args.filter((arg) => !arg.startsWith("-"));
    if (command === "help" && asked && !program.commands.some((known) => known.name() === asked)) {
      throw new UsageError(`verydeep: unknown command (${asked}). ${REMEDY}`);
    }
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const shown = error instanceof CommanderError ? usageError(error) : error;
    output.error(shown);
    return shown instanceof UsageError ? 2 : 1;
  }
}

function createProgram(output: Output, exit: (code: number) => void): Command {
  const program = new Command("verydeep")
    .description("Train and run VGG networks: no native code, all CPU cores.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .addHelpText("after", EXAMPLES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        output.line(text.trimEnd());
        output.record({ text: text.trimEnd() });
      },
      // Errors come back as exceptions and are shown by main.
      writeErr: () => undefined,
      outputError: () => undefined,
    });
  addTrain(program, output, exit);
  addClassify(program, output, exit);
  addInspect(program, output);
  addConvert(program, output);
  addSummary(program, output);
  addInfo(program, output, packageVersion());
  addProfile(program, output);
  addPull(program, output, exit);
  return program;
}

/** Commander's complaint as an error of this library. */
function usageError(error: CommanderError): UsageError {
  const [text, suggestion] = error.message.replace(/^error: /, "").split("\n");
  const what = COMPLAINTS[error.code];
  const argument = /'([^']*)'/.exec(text)?.[1];
  const remedy = suggestion ? `${suggestion.replace(/[()]/g, "")} ${REMEDY}` : REMEDY;
  return new UsageError(
    what && argument ? `verydeep: ${what} (${argument}). ${remedy}` : `verydeep: ${text.replace(/\.$/, "")}. ${remedy}`,
  );
}

/** Whether --json is among the options, so that even an error in the arguments is told as JSON. */
export function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end === -1 ? undefined : end).includes("--json");
}

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const version =
    typeof manifest === "object" && manifest !== null && "version" in manifest ? manifest.version : undefined;
  return String(version);
}
