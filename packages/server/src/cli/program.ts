import { Command, CommanderError } from "commander";
import { version } from "../version.ts";
import { exitCodes, WrongUsage } from "./outcome.ts";
import { addRoleSyntax } from "./role-syntax.ts";
import { addKeySyntax, addServerSyntax, addSessionSyntax, addUserSyntax, type Run } from "./syntax.ts";
import { addClientSyntax } from "./syntax-clients.ts";
import { addDatabaseSyntax } from "./syntax-database.ts";
import { addMailSyntax } from "./syntax-mail.ts";
import { addProviderSyntax } from "./syntax-providers.ts";
import { printError, printOutcome, type Terminal } from "./terminal.ts";

/**
 * The command line as commander knows it; docs/commands.md is made of it too.
 * @param prepare sets what every command inherits, before there is one
 */
export function buildProgram(run: Run, prepare: (program: Command) => void = () => undefined): Command {
  const program = new Command("keyturn")
    .description("A token and session server.")
    .version(version, "--version", "print the version")
    .option("--json", "answer as one JSON document")
    .option("--config <file>", "the settings file (default: keyturn.config.ts or .json, if there is one)")
    .configureHelp({ showGlobalOptions: true });
  prepare(program);
  for (const add of [
    addServerSyntax,
    addDatabaseSyntax,
    addUserSyntax,
    addRoleSyntax,
    addClientSyntax,
    addSessionSyntax,
    addProviderSyntax,
    addKeySyntax,
    addMailSyntax,
  ])
    add(program, run);
  return program;
}

/** Reads the arguments, runs the command, prints its answer. Returns the exit code; throws nothing. */
export async function runProgram(args: readonly string[], terminal: Terminal): Promise<number> {
  const asJson = args.includes("--json");
  let exitCode: number = exitCodes.done;
  const run: Run = (command, work) => {
    const { json = false, config, port, host } = command.optsWithGlobals();
    return work({ terminal, json, sources: { config, port, host } }).then((result) => {
      exitCode = typeof result === "number" ? result : printOutcome(terminal, result, json);
    });
  };
  const program = buildProgram(run, (one) =>
    one.exitOverride().configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      // A program that reads the error as JSON has no use for the help before it.
      writeErr: (text) => asJson || terminal.stderr.write(text),
      // Errors come back as exceptions and are printed in one place.
      outputError: () => undefined,
    }),
  );
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) return printError(terminal, error, asJson);
    if (error.exitCode === 0) return exitCodes.done;
    return printError(terminal, usageError(error), asJson);
  }
}

function usageError({ code, message }: CommanderError): WrongUsage {
  if (code === "commander.help") return new WrongUsage("Say which command: keyturn --help lists them.");
  const line = message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ");
  // What stands after the equals sign may be a secret that somebody tried to give so.
  const safe = line.replace(/(unknown option '-[^=']*)=[^']*'/, "$1'");
  const sentence = `${safe.charAt(0).toUpperCase()}${safe.slice(1).replace(/\.$/, "")}`;
  const isSecret = /unknown option '--?[\w-]*(password|secret)/.test(line);
  const hint = isSecret
    ? "A secret is never an argument, others see it there: use --password-stdin, or --client-secret-stdin."
    : "Add --help to the command to see what it takes.";
  return new WrongUsage(`${sentence}. ${hint}`);
}
