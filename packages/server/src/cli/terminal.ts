import type { Readable, Writable } from "node:stream";
import { type Failure, failureOf, type Outcome } from "./outcome.ts";

/** Where a command reads and writes. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable;
  readonly stderr: Writable & { readonly isTTY?: boolean };
}

/** Prints what a command answers; the exit code. */
export function printOutcome(terminal: Terminal, outcome: Outcome, asJson: boolean): number {
  if (outcome.outcome === "refused") {
    return printFailure(
      terminal,
      { exitCode: 1, error: outcome.error, description: outcome.description },
      asJson,
    );
  }
  terminal.stdout.write(asJson ? `${JSON.stringify(outcome.json, null, 2)}\n` : `${outcome.text}\n`);
  if (!asJson && outcome.note !== undefined) terminal.stderr.write(`${outcome.note}\n`);
  return outcome.exitCode ?? 0;
}

/** Prints why a command failed, without a stack trace; the exit code. */
export function printError(terminal: Terminal, error: unknown, asJson: boolean): number {
  return printFailure(terminal, failureOf(error), asJson);
}

function printFailure(terminal: Terminal, failure: Failure, asJson: boolean): number {
  const { error, description, exitCode } = failure;
  terminal.stderr.write(
    asJson
      ? `${JSON.stringify({ error, error_description: description })}\n`
      : description
          .split("\n")
          .map((line) => `keyturn: ${printable(line)}\n`)
          .join(""),
  );
  return exitCode;
}

/** A text that a stranger may have chosen, without what a terminal would obey. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "\ufffd");
}

/** Columns that stand below each other; the headings are printed too when there are no rows. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows].map((cells) => cells.map(printable));
  const widths = headings.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Names and values below each other; what is not there is left out. */
export function record(fields: Readonly<Record<string, string | undefined>>): string {
  const present = Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const width = Math.max(0, ...present.map(([name]) => name.length));
  return present.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`).join("\n");
}

/** @param milliseconds since 1970; "2026-11-23 15:45:02 UTC" */
export function readableTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** @param milliseconds since 1970 */
export function isoTime(milliseconds: number): string;
export function isoTime(milliseconds: number | undefined): string | null;
export function isoTime(milliseconds: number | undefined): string | null {
  return milliseconds === undefined ? null : new Date(milliseconds).toISOString();
}

/** What long work says on the way: one line that is written over at a terminal, plain lines elsewhere. */
export function progress({ stderr }: Terminal): { say(text: string): void; end(): void } {
  let shown = false;
  return {
    say(text) {
      stderr.write(stderr.isTTY ? `\r\u001b[K${printable(text)}` : `${printable(text)}\n`);
      shown = true;
    },
    end() {
      if (shown && stderr.isTTY) stderr.write("\r\u001b[K");
      shown = false;
    },
  };
}
