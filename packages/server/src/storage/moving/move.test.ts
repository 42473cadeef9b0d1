import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { raw } from "sql-template-tag";
import { randomBytes } from "../../primitives/random.ts";
import { type Database, DatabasePaused, DatabaseUnavailable, type Row, type Statement } from "../database.ts";
import { databaseFile } from "../database-file.ts";
import { insertMark, marks, marksOf } from "../marks.ts";
import { migrate, pendingMigrations } from "../migrate.ts";
import { openDatabase } from "../open.ts";
import { pauseWrites } from "../pause.ts";
import { openTestDatabase, type TestDatabase } from "../test-database.ts";
import { type MoveOptions, move, takeUpAgain } from "./move.ts";
import { deletions, keyOf, readPage, upserts } from "./rows.ts";
import { type Shape, shapesOf } from "./shapes.ts";

const closers: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

/** Of the engine that this run is about. */
async function openPlace(options: { empty?: boolean } = {}): Promise<TestDatabase> {
  const place = await openTestDatabase(options);
  closers.push(() => place.close());
  return place;
}

/** A SQLite file, the other side of every move here: from PostgreSQL, or from SQLite to SQLite. */
async function openFile(): Promise<Database> {
  const url = `sqlite:${join(tmpdir(), "keyturn-move-")}${randomBytes(8).toString("hex")}.db`;
  const database = await openDatabase({ url });
  closers.push(async () => {
    await database.close();
    for (const end of ["", "-wal", "-shm", "-clock"]) rmSync(`${databaseFile(url)}${end}`, { force: true });
  });
  return database;
}

const options = (more: Partial<MoveOptions> = {}): MoveOptions => ({
  targetName: "elsewhere",
  pauseSecondsMax: 60,
  rehearsal: false,
  isInterrupted: () => false,
  onProgress: () => undefined,
  ...more,
});

/** A row that fits: of every table, with whatever its parents have. */
function madeUp(
  shape: Shape,
  { number, parents }: { number: number; parents: ReadonlyMap<string, Row> },
): Row {
  const row: Row = {};
  for (const column of shape.columns) row[column] = valueFor(shape, column, number);
  for (const parent of shape.parents) {
    const of = parents.get(parent) as Row;
    const [from, to] =
      {
        users: ["user_id", "id"],
        roles: ["role", "name"],
        clients: ["client_id", "id"],
        identities: ["identity_id", "id"],
      }[parent] ?? [];
    row[from as string] = of[to as string] ?? null;
  }
  return row;
}

const types = new Map<string, string>();

function valueFor(shape: Shape, column: string, number: number) {
  const type = types.get(`${shape.name}.${column}`) ?? "";
  if (/^bigint$/i.test(type)) return number;
  if (/^bytea$/i.test(type)) return randomBytes(16);
  // Text that the two engines would order differently if one went by a language.
  return `${["ä", "Z", "a", "_", "é"][number % 5]}${number} ${randomBytes(4).toString("hex")}`;
}

async function readTypes(): Promise<void> {
  const file = await openFile();
  await migrate(file);
  const rows = await file.all<{ t: string; c: string; type: string }>(
    raw("SELECT t.name AS t, c.name AS c, c.type AS type FROM sqlite_schema t, pragma_table_info(t.name) c"),
  );
  for (const { t, c, type } of rows) types.set(`${t}.${c}`, type);
}

/** Adds a row to every table, changes one and takes one away: whatever a move forgets shows. */
async function stir(database: Database, shapes: readonly Shape[], round: number): Promise<void> {
  const parents = new Map<string, Row>();
  const added: Statement[] = [];
  for (const shape of shapes) {
    const row = madeUp(shape, { number: 10 * round + 3, parents });
    if (shape.columns.includes("state")) row.state = `state ${round}`;
    parents.set(shape.name, row);
    added.push(...upserts(shape, [row]));
  }
  await database.batch(added);
  const changed: Statement[] = [];
  for (const shape of [...shapes].reverse()) {
    const [first, second] = await readPage(database, { shape, after: undefined, rows: 2 });
    const free = shape.columns.find(
      (column) => CHANGED.test(column) && !shape.key.some((part) => part.column === column),
    );
    if (second !== undefined && free !== undefined) {
      const value = typeof second[free] === "number" ? Number(second[free]) + 1 : `changed ${round}`;
      changed.push(...upserts(shape, [{ ...second, [free]: value }]));
    }
    if (first !== undefined && round % 2 === 1 && shape.name !== "pairwise_salt")
      changed.push(...deletions(shape, [keyOf(shape, first)]));
  }
  await database.batch(changed);
}

const CHANGED = /^(created_at|updated_at|expires_at|detail|scope|seq|count|full_at)$/;

async function contents(database: Database): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {};
  for (const shape of await shapesOf(database)) {
    const rows = await readPage(database, { shape, after: undefined, rows: 100_000 });
    all[shape.name] = rows.map((row) => JSON.stringify(shape.columns.map((column) => row[column])));
  }
  return all;
}

await readTypes();

test("a move copies every column of every table, whichever changes in each of them while it copies", async () => {
  const source = (await openPlace()).database;
  const target = await openFile();
  const shapes = await shapesOf(source);
  assert.ok(shapes.length > 25);
  for (let round = 0; round < 3; round++) await stir(source, shapes, round);
  let stirred = 3;
  let stirring = Promise.resolve();
  const moved = await move(
    source,
    target,
    options({
      // Between the first pass and the pause, as servers do.
      onProgress({ step }) {
        if (step === "copy" && stirred < 6)
          stirring = stirring
            .then(() => stir(source, shapes, stirred++))
            .catch((error) => assert.ok(error instanceof DatabasePaused));
      },
    }),
  );
  await stirring;
  assert.ok(moved.outcome === "moved");
  assert.deepEqual(await contents(target), await contents(source));
  for (const { table, source: one, target: other } of moved.tables) assert.deepEqual(one, other, table);
  assert.deepEqual(await pendingMigrations(target), []);
  await assert.rejects(pendingMigrations(source), /was moved to elsewhere/);

  // And back again, into an empty one.
  const back = (await openPlace({ empty: true })).database;
  assert.equal((await move(target, back, options())).outcome, "moved");
  assert.deepEqual(await contents(back), await contents(source));
});

test("while writes are paused every table refuses them, from every process, and afterwards takes them again", async () => {
  const place = await openPlace();
  const source = place.database;
  const shapes = await shapesOf(source);
  await stir(source, shapes, 0);
  const other = await openDatabase({ url: place.url });
  closers.push(() => other.close());
  const before = await contents(source);
  const pause = await pauseWrites(
    source,
    shapes.map(({ name }) => name),
  );
  for (const shape of shapes) {
    const [row] = await readPage(other, { shape, after: undefined, rows: 1 });
    assert.ok(row, `${shape.name} has a row`);
    const acts = [deletions(shape, [keyOf(shape, row)]), upserts(shape, [row])];
    for (const act of acts) await assert.rejects(other.batch(act), DatabasePaused, shape.name);
    const update = `UPDATE "${shape.name}" SET "${shape.columns[0]}" = "${shape.columns[0]}"`;
    await assert.rejects(
      other.transaction((tx) => tx.run(raw(update))),
      DatabasePaused,
    );
  }
  pause.assertHeld();
  assert.deepEqual(await contents(source), before);
  await pause.lift();
  await stir(other, shapes, 1);
  assert.notDeepEqual(await contents(source), before);
});

test("a write that a pause refuses takes none with it that came at the same moment", async () => {
  const source = (await openPlace()).database;
  const shapes = await shapesOf(source);
  await stir(source, shapes, 0);
  const [users] = shapes.filter(({ name }) => name === "users");
  assert.ok(users);
  const [row] = await readPage(source, { shape: users, after: undefined, rows: 1 });
  assert.ok(row);
  const pause = await pauseWrites(source, ["users"]);
  // Those of one moment share a transaction; the first of all of them has one for itself.
  const note = (version: number) =>
    source.batch([insertMark({ version: 1_000_100 + version, name: "a note", applied_at: 1 })]);
  const refused = () => source.batch(upserts(users, [row]));
  const [, before, one, between, other, behind] = await Promise.allSettled([
    note(0),
    note(1),
    refused(),
    note(2),
    refused(),
    note(3),
  ]);
  await pause.lift();
  for (const each of [before, between, behind]) assert.equal(each.status, "fulfilled");
  for (const each of [one, other])
    assert.ok(each.status === "rejected" && each.reason instanceof DatabasePaused);
  assert.deepEqual(
    (await marksOf(source)).filter(({ name }) => name === "a note").map(({ version }) => version % 100),
    [0, 1, 2, 3],
  );
});

test("no write that was under way when the pause began is lost or comes after it", async () => {
  const place = await openPlace();
  const source = place.database;
  const shapes = await shapesOf(source);
  const other = await openDatabase({ url: place.url });
  closers.push(() => other.close());
  const add = (n: number) =>
    other.transaction(async (tx) => {
      await tx.run(raw("UPDATE revocation_position SET seq = seq + 1 WHERE id = 1"));
      await tx.run(raw(`INSERT INTO rate_limits (id, full_at) VALUES (CAST('${1000 + n}' AS BYTEA), ${n})`));
    });
  let acknowledged = 0;
  let isOver = false;
  const writers = Array.from({ length: 6 }, async (_, writer) => {
    for (let n = 0; !isOver; n++) {
      try {
        await add(writer * 10_000 + n);
        acknowledged++;
      } catch (error) {
        assert.ok(error instanceof DatabasePaused, String(error));
      }
    }
  });
  for (let round = 0; round < 3; round++) {
    const before = acknowledged;
    while (acknowledged < before + 20) await new Promise((resolve) => setImmediate(resolve));
    const pause = await pauseWrites(
      source,
      shapes.map(({ name }) => name),
    );
    const seen = await contents(source);
    // What was committed before the pause is acknowledged a moment later at the latest: one more trip.
    await assert.rejects(add(99_000 + round), DatabasePaused);
    assert.deepEqual(await contents(source), seen);
    assert.equal(seen.rate_limits?.length, acknowledged);
    await pause.lift();
  }
  isOver = true;
  await Promise.all(writers);
});

test("a target that holds anything is refused, and nothing of it is touched", async () => {
  const source = (await openPlace()).database;
  for (const fill of ["CREATE TABLE notes (line TEXT)", undefined]) {
    const target = await openFile();
    if (fill === undefined) await migrate(target);
    else await target.batch([raw(fill)]);
    const before = await target.all(raw("SELECT name, sql FROM sqlite_schema ORDER BY name"));
    assert.equal((await move(source, target, options())).outcome, "target_not_empty");
    assert.deepEqual(await target.all(raw("SELECT name, sql FROM sqlite_schema ORDER BY name")), before);
  }
});

test("a source that lacks a migration is not moved, and one of a newer Keyturn neither", async () => {
  const source = (await openPlace()).database;
  await source.batch([raw("DELETE FROM schema_migrations WHERE version = 6")]);
  assert.deepEqual(await move(source, await openFile(), options()), { outcome: "source_old", pending: 1 });
  await source.batch([
    raw(
      "INSERT INTO schema_migrations (version, name, applied_at) VALUES (6, 'oauth', 1), (999, 'of tomorrow', 1)",
    ),
  ]);
  await assert.rejects(move(source, await openFile(), options()), /version 999/);
});

test("a move that was given up leaves the source at work, and goes on when it is run again", async () => {
  const source = (await openPlace()).database;
  const shapes = await shapesOf(source);
  for (let round = 0; round < 3; round++) await stir(source, shapes, round);
  const target = await openFile();
  let steps = 0;
  for (const isInterrupted of [() => steps++ > 10, () => steps++ > 50]) {
    steps = 0;
    assert.equal((await move(source, target, options({ isInterrupted }))).outcome, "interrupted");
    await assert.rejects(pendingMigrations(target), /half-made/);
    await stir(source, shapes, 5);
  }
  assert.equal((await move(source, target, options({ pauseSecondsMax: 0 }))).outcome, "pause_too_long");
  // The last of a table, and all of another, which the half-made target has by now.
  await source.batch([
    raw("DELETE FROM rate_limits"),
    raw("DELETE FROM audit_events WHERE id = (SELECT id FROM audit_events ORDER BY id DESC LIMIT 1)"),
  ]);
  await stir(source, shapes, 7);
  assert.deepEqual(await move((await openPlace()).database, target, options()), {
    outcome: "target_of_another",
  });
  assert.equal((await move(source, target, options())).outcome, "moved");
  assert.deepEqual(await contents(target), await contents(source));

  assert.equal((await move(source, await openFile(), options())).outcome, "source_moved");
  assert.equal(await takeUpAgain(source), true);
  await stir(source, shapes, 8);
});

test("a move that ended between its last two steps is completed by the next one", async () => {
  const source = (await openPlace()).database;
  await stir(source, await shapesOf(source), 0);
  const target = await openFile();
  assert.equal((await move(source, target, options())).outcome, "moved");
  const half = (await marksOf(await rehearsedOf(source))).find(({ version }) => version === marks.half);
  assert.ok(half);
  await target.batch([insertMark(half)]);
  assert.equal((await move(source, target, options())).outcome, "moved");
  assert.deepEqual(await pendingMigrations(target), []);
});

/** How a half-made target of this source is marked. */
async function rehearsedOf(source: Database): Promise<Database> {
  const held = await marksOf(source);
  await takeUpAgain(source);
  const target = await openFile();
  assert.equal((await move(source, target, options({ rehearsal: true }))).outcome, "rehearsed");
  for (const mark of held) await source.batch([insertMark(mark)]);
  return target;
}

test("a pause whose holder died ends by itself, and one that had a hole moves nothing", async () => {
  const place = await openPlace();
  const source = place.database;
  const shapes = await shapesOf(source);
  const target = await openFile();
  let hole: Promise<unknown> | undefined;
  const broken = move(
    source,
    target,
    options({
      onProgress({ step }) {
        // As if the mover had stood still for longer than its lease.
        if (step === "paused")
          hole = source.batch([insertMark({ version: marks.pause, name: "paused", applied_at: 1 })]);
      },
    }),
  );
  await assert.rejects(broken, /could not be held/);
  await hole;
  await stir(source, shapes, 1);
  await assert.rejects(pendingMigrations(target), DatabaseUnavailable);
});

test("a target that goes away in the middle leaves the source at work", async () => {
  const source = (await openPlace()).database;
  const shapes = await shapesOf(source);
  for (const at of ["copy", "paused"] as const) {
    const target = await openFile();
    const failed = move(
      source,
      target,
      options({ onProgress: ({ step }) => void (step === at && target.close()) }),
    );
    await assert.rejects(failed, DatabaseUnavailable);
    await stir(source, shapes, 1);
  }
});
