import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import sql, { raw } from "sql-template-tag";
import { systemClock } from "../primitives/clock.ts";
import { DatabaseUnavailable } from "./database.ts";
import { openDatabase } from "./open.ts";
import { openSqlite } from "./sqlite.ts";
import { testEngine } from "./test-database.ts";

const KILLS = 15;

describe("SQLite", { skip: testEngine !== "sqlite" && "this run is about PostgreSQL" }, () => {
  let folder: string;
  let files = 0;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "keyturn-sqlite-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const newPath = () => join(folder, `${++files}.db`);
  const open = (path: string) => openSqlite({ path, clock: systemClock, onDeath() {} });
  async function openWithTable(path = newPath()) {
    const database = await open(path);
    await database.batch([
      raw("CREATE TABLE IF NOT EXISTS notes (id BIGINT NOT NULL PRIMARY KEY, body BYTEA)"),
    ]);
    return database;
  }
  const note = (id: number, bytes = 1) =>
    sql`INSERT INTO notes (id, body) VALUES (${id}, ${Buffer.alloc(bytes)})`;
  const countIn = async (database: Awaited<ReturnType<typeof open>>) =>
    (await database.one<{ n: number }>(sql`SELECT COUNT(*) AS n FROM notes`))?.n;

  test("a new file, its log and its folder are for the owner alone", async () => {
    const path = join(folder, "new", "deep", "a.db");
    const database = await openWithTable(path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(`${path}-wal`).mode & 0o777, 0o600);
    assert.equal(statSync(join(folder, "new")).mode & 0o777, 0o700);
    await database.close();
  });

  test("every commit is flushed: WAL with synchronous FULL, foreign keys, no trust in the schema", async () => {
    const database = await openWithTable();
    const results = await database.batch(
      ["journal_mode", "synchronous", "foreign_keys", "trusted_schema", "mmap_size"].map((name) =>
        raw(`PRAGMA ${name}`),
      ),
    );
    assert.deepEqual(
      results.map(({ rows }) => Object.values(rows[0] ?? {})[0]),
      ["wal", 2, 1, 0, 0],
    );
    await database.close();
  });

  const refusals: [string, () => string, RegExp][] = [
    [
      "a file that is something else",
      () => writeTo(newPath(), "This is a letter, not a database. ".repeat(200)),
      /it is not a SQLite database/,
    ],
    ["a folder", () => folder, /it is a folder; give the path of a file/],
    [
      "a path through a file",
      () => join(writeTo(newPath(), "x"), "a.db"),
      /SQLite database .*ENOTDIR|EEXIST/,
    ],
    ["nothing", () => "", /must name a file/],
    ["memory", () => ":memory:", /must name a file/],
  ];
  for (const [what, path, message] of refusals) {
    test(`refuses with a sentence that says what to do: ${what}`, async () => {
      await assert.rejects(openDatabase({ url: `sqlite:${path()}` }), (error: Error) => {
        assert.ok(error instanceof DatabaseUnavailable);
        assert.match(error.message, message);
        assert.ok(!error.message.includes("\n"));
        return true;
      });
    });
  }

  test("refuses a folder in which this user may not write, and a file that it may not write", async () => {
    const closed = join(folder, "closed");
    mkdirSync(closed, { mode: 0o755 });
    const file = writeTo(join(closed, "mine.db"), "");
    chmodSync(file, 0o644);
    chmodSync(closed, 0o555);
    chmodSync(folder, 0o755);
    const answers = await askOther(["refusals", join(closed, "new.db"), file]);
    assert.match(String(answers[0]), /may not make a file there/);
    assert.match(String(answers[1]), /cannot be (written|opened): check/);
  });

  test("a full disk refuses the write that found it full, and no later one", async () => {
    const database = await openWithTable();
    await database.batch([note(1)]);
    await database.batch([raw("PRAGMA max_page_count = 30")]);
    await assert.rejects(database.batch([note(2), note(3, 1_000_000)]), (error: Error) => {
      assert.ok(error instanceof DatabaseUnavailable);
      assert.match(error.message, /the disk is full/);
      return true;
    });
    assert.equal(await countIn(database), 1);
    await database.batch([note(4)]);
    assert.equal(await countIn(database), 2);
    await database.close();
  });

  test("a batch that finds the disk full takes down those that share its commit, and each is told", async () => {
    const database = await openWithTable();
    await database.batch([raw("PRAGMA max_page_count = 30")]);
    const outcomes = await Promise.allSettled(
      [note(1), note(2, 1_000_000), note(3)].map((one) => database.batch([one])),
    );
    const kept = (await database.all<{ id: number }>(sql`SELECT id FROM notes ORDER BY id`)).map(
      ({ id }) => id,
    );
    assert.deepEqual(
      kept,
      outcomes.flatMap(({ status }, i) => (status === "fulfilled" ? [i + 1] : [])),
    );
    assert.equal(outcomes[1]?.status, "rejected");
    await database.close();
  });

  test("a writing thread that died rejects what it held, and is started again for what comes next", async () => {
    const deaths: Error[] = [];
    const database = await openSqlite({
      path: newPath(),
      clock: systemClock,
      onDeath: (error) => deaths.push(error),
    });
    await database.batch([raw("CREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY, body BYTEA)")]);
    let release: (() => void) | undefined;
    const inside = new Promise<void>((resolve) => {
      release = resolve;
    });
    const open = database.transaction(async (tx) => {
      await tx.run(note(1));
      release?.();
      await tx.run(
        raw(
          "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT max(i) FROM n",
        ),
      );
    });
    const behind = inside.then(() => database.batch([note(2)]));
    await inside;
    await Promise.all([database.killWriter(), assert.rejects(open, DatabaseUnavailable)]);
    await behind;
    await Promise.all(Array.from({ length: 5 }, (_, i) => database.batch([note(10 + i)])));
    assert.equal(await countIn(database), 6);
    assert.equal(deaths.length, 1);
    await database.close();
  });

  test("the log is moved into the file while writes go on, and is gone after closing", async () => {
    const path = newPath();
    const database = await openWithTable(path);
    let longest = 0;
    for (let i = 0; i < 400; i++) {
      await database.batch([
        sql`INSERT INTO notes (id, body) VALUES (${i % 8}, ${Buffer.alloc(250_000, i)})
        ON CONFLICT (id) DO UPDATE SET body = excluded.body`,
      ]);
      longest = Math.max(longest, statSync(`${path}-wal`).size);
    }
    assert.ok(longest < 80_000_000, `100 MB were written, the log grew to ${longest} bytes`);
    assert.ok(longest > 8_000_000, `the log grew to ${longest} bytes only: nothing was tried`);
    await database.close();
    assert.equal(statSync(`${path}-wal`, { throwIfNoEntry: false }), undefined);
    const again = await open(path);
    assert.equal(await countIn(again), 8);
    await again.close();
  });

  test("another process may write the same file at the same time", async () => {
    const path = newPath();
    const database = await openWithTable(path);
    const other = askOther(["insert", path, "1000", "60"]);
    for (let i = 0; i < 60; i++) await database.batch([note(i)]);
    assert.deepEqual(await other, ["done"]);
    assert.equal(await countIn(database), 120);
    await database.close();
  });

  test("who uses SQLite never loads pg", () => {
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    assert.deepEqual(
      loaded.filter((file) => file.includes("/node_modules/pg")),
      [],
    );
  });

  test("a process that forgets to close may end", async () => {
    assert.deepEqual(await askOther(["forget", newPath()]), ["written"]);
  });

  test(`every write acknowledged before kill -9 is there after it, ${KILLS} times over`, {
    timeout: 60_000,
  }, async () => {
    const path = newPath();
    await (await openWithTable(path)).close();
    let next = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const child = startOther(["insert", path, String(next), "1000000"]);
      let acknowledged = next - 1;
      const enough = next + 1 + ((kill * 37) % 50);
      const exited = once(child, "exit");
      child.on("message", (id: number) => {
        acknowledged = id;
        if (id >= enough) child.kill("SIGKILL");
      });
      await exited;
      const database = await open(path);
      const rows = await database.all<{ id: number }>(
        sql`SELECT id FROM notes WHERE id >= ${next} ORDER BY id`,
      );
      assert.ok(acknowledged >= enough);
      assert.ok(
        rows.length >= acknowledged - next + 1,
        `row ${acknowledged} was acknowledged, ${rows.length} rows are there`,
      );
      assert.deepEqual(
        rows.map(({ id }) => id),
        rows.map((_, i) => next + i),
      );
      assert.deepEqual((await database.batch([raw("PRAGMA integrity_check")]))[0]?.rows, [
        { integrity_check: "ok" },
      ]);
      next += rows.length;
      await database.close();
    }
  });
});

function writeTo(path: string, text: string): string {
  writeFileSync(path, text);
  return path;
}

function startOther(args: string[]): ChildProcess {
  return fork(new URL("./test-sqlite-process.ts", import.meta.url), args, { execArgv: [] });
}

/** What another process says before it ends. */
async function askOther(args: string[]): Promise<unknown[]> {
  const child = startOther(args);
  const said: unknown[] = [];
  child.on("message", (message) => {
    if (typeof message === "string") said.push(message);
  });
  const [code] = await once(child, "exit");
  assert.equal(code, 0);
  return said;
}
