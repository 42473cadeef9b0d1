import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { extname } from "node:path";
import {
  type ImportCounts,
  importUsers,
  type RefusedLine,
} from "../../admin/commands/import/import-users.ts";
import { type ImportFormat, UnreadableFile } from "../../admin/commands/import/records.ts";
import { type Context, inRooms } from "../open.ts";
import { exitCodes, type Outcome, WrongUsage } from "../outcome.ts";
import { printable, progress, type Terminal } from "../terminal.ts";

export interface ImportCommandOptions {
  readonly format?: ImportFormat;
  readonly report?: string;
  readonly ignore?: readonly string[];
  readonly dryRun?: boolean;
}

const formats: Readonly<Record<string, ImportFormat>> = {
  ".csv": "csv",
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
};
const PROGRESS_MS = 500;
const number = new Intl.NumberFormat("en-US");

/** Exit code 1 when a line was refused; whatever could be taken is there. */
export async function importFile(
  context: Context,
  file: string,
  options: ImportCommandOptions,
): Promise<Outcome> {
  const { terminal } = context;
  const { dryRun = false, report, ignore } = options;
  const format = options.format ?? formats[extname(file).toLowerCase()];
  const chunks = await open(terminal, file);
  return inRooms(context, async (rooms) => {
    const reporting = await openReport(terminal, report);
    const shown = progress(terminal);
    let shownAt = performance.now();
    try {
      const counts = await importUsers({ ...rooms, clock: rooms.database.clock }, chunks, {
        format,
        ignore,
        dryRun,
        onRefused: (line) => {
          if (report === undefined) shown.end();
          return reporting.write(line);
        },
        onProgress(now) {
          if (performance.now() - shownAt < PROGRESS_MS) return;
          shownAt = performance.now();
          shown.say(summary(now, dryRun));
        },
      });
      return done(counts, { dryRun, report });
    } catch (error) {
      throw error instanceof UnreadableFile ? new WrongUsage(`${error.message} Nothing was changed.`) : error;
    } finally {
      shown.end();
      await reporting.close();
    }
  });
}

function done(
  counts: ImportCounts,
  { dryRun, report }: { dryRun: boolean; report: string | undefined },
): Outcome {
  const where = report === undefined ? "above" : `in ${report}`;
  return {
    outcome: "done",
    json: { ...counts, dryRun },
    text: summary(counts, dryRun),
    ...(counts.refused > 0 && {
      note: `The lines that were refused are named ${where}. Mend them and run the same again: who is there stays as they are.`,
      exitCode: exitCodes.refused,
    }),
  };
}

function summary({ lines, added, present, refused }: ImportCounts, dryRun: boolean): string {
  const would = dryRun ? "would be added" : "added";
  const [all, one, other, none] = [lines, added, present, refused].map((count) => number.format(count));
  return `${all} lines: ${one} ${would}, ${other} there already, ${none} refused.`;
}

async function open(terminal: Terminal, file: string): Promise<AsyncIterable<Uint8Array | string>> {
  if (file === "-") return terminal.stdin;
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) throw new WrongUsage(`There is no file ${file}, or it cannot be read.`);
  if (found.isDirectory())
    throw new WrongUsage(`${file} is a folder; it takes a file, or - for the standard input.`);
  const stream = createReadStream(file);
  await once(stream, "open").catch(() => {
    throw new WrongUsage(`The file ${file} cannot be read.`);
  });
  return stream;
}

/** JSON lines in a file of the operator's own, or sentences on the standard error stream. */
async function openReport(terminal: Terminal, file: string | undefined) {
  if (file === undefined) {
    return {
      write({ line, field, problem }: RefusedLine): void {
        terminal.stderr.write(
          `line ${line}: ${field === undefined ? "" : `${field}: `}${printable(problem)}\n`,
        );
      },
      async close(): Promise<void> {},
    };
  }
  const stream = createWriteStream(file, { mode: 0o600 });
  await once(stream, "open").catch(() => {
    throw new WrongUsage(`The report cannot be written to ${file}.`);
  });
  return {
    async write(line: RefusedLine): Promise<void> {
      if (!stream.write(`${JSON.stringify(line)}\n`)) await once(stream, "drain");
    },
    async close(): Promise<void> {
      stream.end();
      await once(stream, "close");
    },
  };
}
