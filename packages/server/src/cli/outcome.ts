import { WrongSetting } from "../config.ts";
import { DatabaseUnavailable } from "../storage/database.ts";
import { DatabaseTooNew, ServersMustStop } from "../storage/migrate.ts";

/** What the shell is told. Scripts rely on these numbers. */
export const exitCodes = {
  done: 0,
  /** The command was understood and cannot be done: not found, taken. */
  refused: 1,
  /** The command or a setting is wrong. */
  wrongUsage: 2,
  /** The database cannot be reached or used. */
  databaseUnavailable: 3,
  /** As a shell says of a program that Ctrl-C ended. */
  interrupted: 130,
} as const;

/** What a command has to say, in both of its forms. */
export type Outcome =
  | {
      readonly outcome: "done";
      /** With `--json`: one document on the standard output. Times are ISO 8601. */
      readonly json: unknown;
      /** Without: for a person, on the standard output. */
      readonly text: string;
      /** For a person, on the standard error stream: not part of the answer. */
      readonly note?: string;
      /** Instead of 0. */
      readonly exitCode?: number;
    }
  | Refused;

export interface Refused {
  readonly outcome: "refused";
  /** snake_case and stable: scripts switch on it. */
  readonly error: string;
  readonly description: string;
}

export const refused = (error: string, description: string): Refused => ({
  outcome: "refused",
  error,
  description,
});

/** The person pressed Ctrl-C at a question. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** The command line itself is wrong. */
export class WrongUsage extends Error {
  override readonly name = "WrongUsage";
}

export interface Failure {
  readonly exitCode: number;
  readonly error: string;
  readonly description: string;
}

/** An exception as a line for the operator. Only a bug of ours has none of its own. */
export function failureOf(error: unknown): Failure {
  const description = error instanceof Error ? error.message : String(error);
  if (error instanceof WrongUsage)
    return { exitCode: exitCodes.wrongUsage, error: "wrong_usage", description };
  if (error instanceof WrongSetting)
    return { exitCode: exitCodes.wrongUsage, error: "wrong_setting", description };
  if (error instanceof DatabaseUnavailable) {
    return { exitCode: exitCodes.databaseUnavailable, error: "database_unavailable", description };
  }
  if (error instanceof DatabaseTooNew) {
    return { exitCode: exitCodes.databaseUnavailable, error: "database_too_new", description };
  }
  if (error instanceof ServersMustStop) {
    return { exitCode: exitCodes.databaseUnavailable, error: "servers_must_stop", description };
  }
  if (error instanceof Interrupted)
    return { exitCode: exitCodes.interrupted, error: "interrupted", description };
  const line = description.split("\n")[0] ?? "";
  return { exitCode: exitCodes.refused, error: "unexpected", description: `Something broke: ${line}` };
}
