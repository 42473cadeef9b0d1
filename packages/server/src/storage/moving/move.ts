import { createHash } from "node:crypto";
import { raw } from "sql-template-tag";
import type { Database } from "../database.ts";
import { deleteMark, FOR_GOOD, type Mark, marks, marksOf } from "../marks.ts";
import { markEmpty, migrate, pendingMigrations } from "../migrate.ts";
import { type Pause, pauseWrites, removePause } from "../pause.ts";
import { type Copying, type Reconciled, reconcile } from "./reconcile.ts";
import { type Shape, sameShapes, shapesOf } from "./shapes.ts";

/** Passes before the pause after the first one, while they still find much. */
const CATCH_UPS_MAX = 3;
/** What the pause may leave to be copied: so much takes a moment. */
const CHANGES_ENOUGH = 2_000;

export type Moved =
  | {
      readonly outcome: "moved" | "rehearsed";
      readonly tables: readonly Reconciled[];
      readonly pausedMs: number;
    }
  | { readonly outcome: "source_old"; readonly pending: number }
  | { readonly outcome: "source_moved"; readonly mark: Mark }
  | { readonly outcome: "target_not_empty" | "target_of_another" | "interrupted" }
  | { readonly outcome: "pause_too_long"; readonly seconds: number };

export interface MoveOptions {
  /** What the source is told where it went. */
  readonly targetName: string;
  /** Longer than this the source's writes are not paused: the move is given up. */
  readonly pauseSecondsMax: number;
  /** Ends with the source going on, and the target half made. */
  readonly rehearsal: boolean;
  /** Whether it is to end before its time. */
  isInterrupted(): boolean;
  onProgress(step: MoveStep): void;
}

export type MoveStep =
  | { readonly step: "copy" | "catch_up" | "check"; readonly table: string; readonly rows: number }
  | { readonly step: "paused" };

class Interrupted extends Error {}
class PauseTooLong extends Error {}

/**
 * Copies all of a database to an empty other one while servers run on it, then pauses its writes, copies what has
 * changed and compares every row. Until the very end the source is the truth, and goes on when anything fails.
 */
export async function move(source: Database, target: Database, options: MoveOptions): Promise<Moved> {
  const refused = await refusal(source, target);
  if (refused !== undefined) return refused;
  // A move that was ended between its last two steps: the source stands still already.
  const isKept = (await marksOf(source)).some(isForGood);
  // Marked before there is anything in it: no server starts on half a database.
  await markEmpty(target, {
    version: marks.half,
    name: await nameOf(source),
    applied_at: target.clock.now(),
  });
  await migrate(target, { ignoresMarks: true });
  const shapes = await shapesOf(source);
  if (!sameShapes(shapes, await shapesOf(target)))
    throw new Error("Bug in Keyturn: the same migrations made other tables in the target");
  try {
    if (!isKept) await copyLive(source, target, { shapes, options });
    return await finish(source, target, { shapes, options, isKept });
  } catch (error) {
    if (error instanceof Interrupted) return { outcome: "interrupted" };
    if (error instanceof PauseTooLong) return { outcome: "pause_too_long", seconds: options.pauseSecondsMax };
    throw error;
  }
}

/** Lets a source go on that was moved away. What was written to the target since stays there. */
export async function takeUpAgain(source: Database): Promise<boolean> {
  const found = (await marksOf(source)).some(({ version }) => version === marks.pause);
  await removePause(source, names(await shapesOf(source)));
  return found;
}

async function refusal(source: Database, target: Database): Promise<Moved | undefined> {
  const pending = await pendingMigrations(source, undefined, { ignoresMarks: true, exactly: true });
  if (pending.length > 0) return { outcome: "source_old", pending: pending.length };
  const gone = (await marksOf(source)).find(isForGood);
  if (await isEmpty(target)) return gone && { outcome: "source_moved", mark: gone };
  const half = (await hasMigrations(target))
    ? (await marksOf(target)).find(({ version }) => version === marks.half)
    : undefined;
  if (half?.name === (await nameOf(source))) return undefined;
  if (gone !== undefined) return { outcome: "source_moved", mark: gone };
  return { outcome: half === undefined ? "target_not_empty" : "target_of_another" };
}

const isForGood = (mark: Mark) => mark.version === marks.pause && mark.applied_at === FOR_GOOD;

/** A name by which half a copy is known again: of what no other database has. */
async function nameOf(source: Database): Promise<string> {
  const [salts, migrations] = await source.each<{ salt: Uint8Array; applied_at: number }>([
    raw("SELECT salt FROM pairwise_salt WHERE id = 1"),
    raw(`SELECT applied_at FROM schema_migrations WHERE version < ${marks.pause} ORDER BY version`),
  ]);
  const hash = createHash("sha256");
  for (const { salt } of salts ?? []) hash.update(salt);
  hash.update(JSON.stringify((migrations ?? []).map(({ applied_at }) => applied_at)));
  return `half a copy of ${hash.digest("hex").slice(0, 24)}`;
}

async function copyLive(
  source: Database,
  target: Database,
  { shapes, options }: { shapes: readonly Shape[]; options: MoveOptions },
): Promise<void> {
  for (
    let pass = 0, changed = Number.POSITIVE_INFINITY;
    pass <= CATCH_UPS_MAX && changed > CHANGES_ENOUGH;
    pass++
  ) {
    changed = 0;
    for (const shape of shapes) {
      const copying = following(
        { source, target },
        { step: pass === 0 ? "copy" : "catch_up", shape, options },
      );
      changed += (await reconcile(copying, shape, false)).changed;
    }
    // What fills an empty table leaves the planner without an idea of it.
    if (pass === 0 && target.engine === "postgres") await target.batch([raw("ANALYZE")]);
  }
}

async function finish(
  source: Database,
  target: Database,
  { shapes, options, isKept }: { shapes: readonly Shape[]; options: MoveOptions; isKept: boolean },
): Promise<Moved> {
  const began = performance.now();
  let pause: Pause | undefined;
  let isMoved = false;
  try {
    if (!isKept) pause = await pauseWrites(source, names(shapes));
    options.onProgress({ step: "paused" });
    const watched = () => {
      pause?.assertHeld();
      if (performance.now() - began > options.pauseSecondsMax * 1000) throw new PauseTooLong();
    };
    const tables: Reconciled[] = [];
    for (const shape of shapes) {
      const copying = following({ source, target }, { step: "check", shape, options, watched });
      tables.push(await reconcile(copying, shape, true));
    }
    if (options.rehearsal) return { outcome: "rehearsed", tables, pausedMs: performance.now() - began };
    await pause?.keep(`moved to ${options.targetName}`);
    // Last: until then no server starts on the target, so there are never two that both take writes.
    await target.batch([deleteMark(marks.half)]);
    isMoved = true;
    return { outcome: "moved", tables, pausedMs: performance.now() - began };
  } finally {
    // Also after a pause that failed half way. One that cannot be lifted now ends by itself.
    if (!isMoved)
      await (pause === undefined ? removePause(source, names(shapes)) : pause.lift()).catch(() => {});
  }
}

function following(
  sides: { source: Database; target: Database },
  how: {
    step: "copy" | "catch_up" | "check";
    shape: Shape;
    options: MoveOptions;
    watched?: () => void;
  },
): Copying {
  let rows = 0;
  return {
    ...sides,
    onRows(more) {
      if (how.options.isInterrupted()) throw new Interrupted();
      how.watched?.();
      rows += more;
      how.options.onProgress({ step: how.step, table: how.shape.name, rows });
    },
  };
}

const names = (shapes: readonly Shape[]) => shapes.map(({ name }) => name);

async function isEmpty(database: Database): Promise<boolean> {
  const found = await database.one<{ n: number }>(
    raw(
      database.engine === "sqlite"
        ? "SELECT count(*) AS n FROM sqlite_schema"
        : "SELECT count(*) AS n FROM pg_class WHERE relnamespace = CAST(current_schema() AS regnamespace)",
    ),
  );
  return found?.n === 0;
}

async function hasMigrations(database: Database): Promise<boolean> {
  const found = await database.one<{ n: number }>(
    raw(
      database.engine === "sqlite"
        ? "SELECT count(*) AS n FROM sqlite_schema WHERE name = 'schema_migrations'"
        : "SELECT count(*) AS n FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_migrations'",
    ),
  );
  return found?.n !== 0;
}
