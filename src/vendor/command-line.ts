/**
 * Third-party code of the command line, bundled at build time (scripts/build.js): commander (arguments and help), cli-progress (bars),
 * picocolors. Loaded by cli/main.ts; the library itself never loads it.
 */
export { default as cliProgress } from "cli-progress";
export { Command, CommanderError } from "commander";
export { default as picocolors } from "picocolors";
