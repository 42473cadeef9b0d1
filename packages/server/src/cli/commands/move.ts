import { resolve } from "node:path";
import { text as readText } from "node:stream/consumers";
import type { Database } from "../../storage/database.ts";
import { databaseFile } from "../../storage/database-file.ts";
import { type Moved, type MoveStep, move as moveDatabase, takeUpAgain } from "../../storage/moving/move.ts";
import { openDatabase } from "../../storage/open.ts";
import { databaseName } from "../database-name.ts";
import { type Context, requireDatabase } from "../open.ts";
import { type Outcome, refused, WrongUsage } from "../outcome.ts";
import { loadSettings } from "../settings.ts";
import { catchSignals } from "../signals.ts";
import { progress } from "../terminal.ts";

interface Options {
  readonly to?: string;
  readonly rehearse?: boolean;
  readonly resume?: boolean;
  readonly pauseSeconds?: string;
}

const PAUSE_SECONDS = 60;
const PAUSE_SECONDS_MAX = 3_600;

/** Copies the database of the settings to another one while servers run on it. */
export async function move(context: Context, options: Options): Promise<Outcome> {
  const { settings } = await loadSettings(context.sources);
  requireDatabase(settings);
  const from = settings.database;
  if (options.resume) return resume(from);
  const pauseSecondsMax = secondsFrom(options.pauseSeconds);
  const to = await addressFrom(context, options.to);
  if (to === from)
    return refused("same_database", "The address given by --to is that of the database itself.");
  const telling = progress(context.terminal);
  let isInterrupted = false;
  const signals = catchSignals(() => {
    isInterrupted = true;
  });
  const open: Database[] = [];
  try {
    for (const url of [from, to]) open.push(await openDatabase({ url }));
    const moved = await moveDatabase(open[0] as Database, open[1] as Database, {
      targetName: databaseName(to),
      pauseSecondsMax,
      rehearsal: options.rehearse === true,
      isInterrupted: () => isInterrupted,
      onProgress: tellEvery(telling.say),
    });
    return outcomeOf(moved, { from: databaseName(from), to: databaseName(to) });
  } finally {
    telling.end();
    signals.release();
    for (const database of open) await database.close();
  }
}

async function resume(from: string): Promise<Outcome> {
  const database = await openDatabase({ url: from });
  try {
    const found = await takeUpAgain(database);
    const name = databaseName(from);
    return {
      outcome: "done",
      json: { database: name, resumed: found },
      text: found ? `${name} takes writes again.` : `${name} was not paused.`,
    };
  } finally {
    await database.close();
  }
}

function secondsFrom(text: string | undefined): number {
  if (text === undefined) return PAUSE_SECONDS;
  const seconds = Number(text);
  if (Number.isInteger(seconds) && seconds > 0 && seconds <= PAUSE_SECONDS_MAX) return seconds;
  throw new WrongUsage(`--pause-seconds takes a whole number from 1 to ${PAUSE_SECONDS_MAX}.`);
}

/** An argument is read by every user of the machine: an address with a password comes by the standard input. */
async function addressFrom({ terminal }: Context, given: string | undefined): Promise<string> {
  if (given === undefined)
    throw new WrongUsage("Say where to: --to sqlite:PATH or postgres://…, or - for the standard input.");
  const address = given === "-" ? (await readText(terminal.stdin)).trim() : given;
  if (given !== "-" && URL.canParse(address) && new URL(address).password !== "")
    throw new WrongUsage(
      "A password is never an argument, others see it there: give --to - and the address by the standard input.",
    );
  const file = databaseFile(address);
  return file === undefined || file === "" ? address : `sqlite:${resolve(file)}`;
}

/** A line for each table, and one now and then in a large one. */
function tellEvery(say: (text: string) => void): (step: MoveStep) => void {
  let toldAt = 0;
  return (step) => {
    const isPause = step.step === "paused";
    if (!isPause && performance.now() - toldAt < 500) return;
    toldAt = performance.now();
    say(
      isPause
        ? "Writes are paused; comparing every row …"
        : `${stepNames[step.step]} ${step.table}: ${step.rows} rows …`,
    );
  };
}

const stepNames = { copy: "Copying", catch_up: "Catching up", check: "Comparing" } as const;

function outcomeOf(moved: Moved, { from, to }: { from: string; to: string }): Outcome {
  switch (moved.outcome) {
    case "moved":
    case "rehearsed": {
      const rows = moved.tables.reduce((sum, table) => sum + table.source.rows, 0);
      const seconds = (moved.pausedMs / 1000).toFixed(1);
      const checked = `${moved.tables.length} tables, ${rows} rows, each compared on both sides`;
      return {
        outcome: "done",
        json: {
          from,
          to,
          rehearsal: moved.outcome === "rehearsed",
          pausedSeconds: Number(seconds),
          tables: moved.tables.map(({ table, source, target, changed }) => ({
            table,
            rows: source.rows,
            digest: source.digest,
            targetRows: target.rows,
            targetDigest: target.digest,
            changedInPause: changed,
          })),
        },
        text:
          moved.outcome === "moved"
            ? [
                `Moved ${from} to ${to}: ${checked}.`,
                `${from} takes no more writes: its servers answer 503 and clients keep what they hold.`,
                "Now set KEYTURN_DATABASE to the new address and restart every node.",
                "To stay with the old one after all, before any node has started on the new: keyturn move --resume",
              ].join("\n")
            : [
                `Rehearsed: ${checked}. Writes were paused for ${seconds} s; ${from} goes on.`,
                `${to} is half made, and no server starts on it. The same command without --rehearse moves.`,
              ].join("\n"),
      };
    }
    case "source_old":
      return refused("source_old", `${from} lacks ${moved.pending} migrations: run keyturn migrate first.`);
    case "source_moved":
      return refused(
        "source_moved",
        `${from} was ${moved.mark.name} already. To take it up again: keyturn move --resume`,
      );
    case "target_not_empty":
      return refused("target_not_empty", `${to} is not empty: give a database or a schema without tables.`);
    case "target_of_another":
      return refused(
        "target_of_another",
        `${to} is the half-made target of another move: empty it, or give another.`,
      );
    case "pause_too_long":
      return refused(
        "pause_too_long",
        `Comparing took more than ${moved.seconds} s and was given up; ${from} goes on. Run it again at a quieter time, or allow more by --pause-seconds.`,
      );
    case "interrupted":
      return refused(
        "interrupted",
        `Ended before its time; ${from} goes on. The same command goes on from here.`,
      );
  }
}
