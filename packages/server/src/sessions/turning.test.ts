import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import sql from "sql-template-tag";
import { createAudit } from "../audit/audit.ts";
import type { Database } from "../storage/database.ts";
import { DatabaseUnavailable } from "../storage/database.ts";
import { openDatabase } from "../storage/open.ts";
import { openTestDatabase, type TestDatabase, testEngine } from "../storage/test-database.ts";
import { addUser, appSession, buildSessions, restore, selectAll } from "./test-turning.ts";
import type { TurnOutcome } from "./turning.ts";

let opened: TestDatabase;
let database: Database;
let now: number;
before(async () => {
  now = Date.now();
  opened = await openTestDatabase({ clock: { now: () => now } });
  database = opened.database;
});
after(() => opened.close());

async function start(rooms = buildSessions(database)) {
  const started = await rooms.sessions.start(appSession(await addUser(database)));
  assert.ok(started);
  const turn = (token: string, more: { attemptKey?: string; clientId?: string } = {}) =>
    rooms.turning.turn({ token, clientId: "first-party", ...more });
  return { ...rooms, ...started, turn };
}

function succeeded(outcome: TurnOutcome) {
  assert.ok(outcome.outcome === "turned" || outcome.outcome === "replayed", JSON.stringify(outcome));
  return outcome;
}

/** Every outcome is a success, and all name the same successor. */
function oneSuccessor(outcomes: readonly TurnOutcome[]): string {
  const tokens = new Set(outcomes.map((outcome) => succeeded(outcome).refreshToken));
  assert.equal(tokens.size, 1);
  assert.equal(outcomes.filter(({ outcome }) => outcome === "turned").length, 1, "exactly one turned");
  return [...tokens][0] as string;
}

describe("races", () => {
  test("64 concurrent refreshes of one token: 64 succeed, one successor", async () => {
    const { credential: refreshToken, turn, session, sessions } = await start();
    const outcomes = await Promise.all(Array.from({ length: 64 }, () => turn(refreshToken)));
    const successor = oneSuccessor(outcomes);
    assert.equal((await sessions.find(session.id))?.generation, 1);
    assert.equal((await turn(successor)).outcome, "turned");
  });

  test("the same over two connections to one database", async () => {
    const { credential: refreshToken, turn } = await start();
    const second = await openDatabase({ url: opened.url, clock: database.clock });
    try {
      const other = buildSessions(second);
      for (let round = 0, token = refreshToken; round < 20; round++) {
        const outcomes = await Promise.all(
          Array.from({ length: 64 }, (_, index) =>
            index % 2 === 0 ? turn(token) : other.turning.turn({ token, clientId: "first-party" }),
          ),
        );
        token = oneSuccessor(outcomes);
      }
    } finally {
      await second.close();
    }
  });

  test("the same over two processes on one database", async () => {
    const { credential: refreshToken } = await start();
    const processes = await Promise.all([spawnProcess(), spawnProcess()]);
    try {
      for (let round = 0, token = refreshToken; round < 10; round++) {
        const answers = await Promise.all(processes.map((process) => process.present(token, 32)));
        token = oneSuccessor(answers.flat());
      }
    } finally {
      await Promise.all(processes.map((process) => process.stop()));
    }
  });

  test("200 sessions turning at once share a few transactions", async () => {
    let batches = 0;
    const counting: Database = {
      ...database,
      batch(statements) {
        batches++;
        return database.batch(statements);
      },
    };
    const rooms = buildSessions(counting);
    const userId = await addUser(database);
    const all = await Promise.all(
      Array.from({ length: 200 }, () => rooms.sessions.start(appSession(userId))),
    );
    batches = 0;
    const outcomes = await Promise.all(
      all.map((one) => rooms.turning.turn({ token: one?.credential ?? "", clientId: "first-party" })),
    );
    for (const outcome of outcomes) assert.equal(outcome.outcome, "turned");
    assert.equal(new Set(outcomes.map((outcome) => succeeded(outcome).refreshToken)).size, 200);
    assert.ok(batches <= 3, `${batches} transactions`);
  });

  test("a refresh that races with a revocation either comes before it or is refused; nothing turns after it", async () => {
    for (let round = 0; round < 30; round++) {
      const { credential: refreshToken, turn, sessions, session } = await start();
      const [outcomes, ended] = await Promise.all([
        Promise.all(Array.from({ length: 4 }, () => turn(refreshToken))),
        sessions.end(session.id, { actor: "operator", reason: "ended_by_operator" }),
      ]);
      assert.equal(ended, true);
      const successor = outcomes.find(
        (outcome) => outcome.outcome === "turned" || outcome.outcome === "replayed",
      );
      for (const outcome of outcomes) {
        if (outcome.outcome === "refused") assert.equal(outcome.reason, "revoked");
      }
      const token = successor === undefined ? refreshToken : succeeded(successor).refreshToken;
      assert.deepEqual(await turn(token), { outcome: "refused", reason: "revoked" });
    }
  });

  test("of many parallel uses of a stolen old token the session ends once: one event, one feed entry", async () => {
    const { credential: refreshToken, turn, session, revocations } = await start();
    const successor = succeeded(await turn(refreshToken)).refreshToken;
    now += 31_000;
    const { seq } = await revocations.snapshot();
    const outcomes = await Promise.all(Array.from({ length: 16 }, () => turn(refreshToken)));
    for (const outcome of outcomes) assert.deepEqual(outcome, { outcome: "refused", reason: "reused" });
    assert.deepEqual(await turn(successor), { outcome: "refused", reason: "reused" });
    const events = await createAudit({ database }).list({ sessionId: session.id });
    assert.deepEqual(
      events.map(({ type }) => type),
      ["session.reuse_detected", "session.started"],
    );
    const feed = await revocations.since(seq);
    assert.deepEqual(
      feed.map((event) => event.type === "revocation" && event.entry.session),
      [session.id],
    );
  });
});

describe("whoever is told that a session is over may rely on it", () => {
  /** Notes beside the database that are written when the test says so. */
  function slowNotes() {
    let noted = Promise.withResolvers<void>();
    let asked = 0;
    return {
      onEnded: () => {
        asked++;
        return noted.promise;
      },
      asked: () => asked,
      write: () => noted.resolve(),
      again: () => {
        noted = Promise.withResolvers<void>();
        asked = 0;
      },
    };
  }
  const aMoment = () => new Promise((resolve) => setTimeout(resolve, 50));

  test("a copied token that ends its session is answered when the end is noted beside the database, others at once", async () => {
    const notes = slowNotes();
    const rooms = buildSessions(database, {}, notes.onEnded);
    const stolen = await start(rooms);
    await stolen.turn(stolen.credential);
    now += 31_000;
    const other = await start(rooms);
    let answered = false;
    const answer = stolen.turn(stolen.credential).finally(() => {
      answered = true;
    });
    assert.equal((await other.turn(other.credential)).outcome, "turned");
    await aMoment();
    assert.deepEqual([notes.asked(), answered], [1, false]);
    assert.ok((await rooms.sessions.find(stolen.session.id))?.revokedAt, "it is over in the database");
    notes.write();
    assert.deepEqual(await answer, { outcome: "refused", reason: "reused" });
  });

  test("so is a token of a session that another process has ended, and may not have noted", async () => {
    const notes = slowNotes();
    const rooms = buildSessions(database, {}, notes.onEnded);
    const { credential, turn, session, turning } = await start(rooms);
    const elsewhere = buildSessions(database).sessions;
    assert.equal(await elsewhere.end(session.id, { actor: "operator", reason: "ended_by_operator" }), true);
    for (const ask of [
      () => turn(credential),
      () => turning.examine({ token: credential, clientId: "first-party" }),
      () => rooms.sessions.end(session.id, { actor: "user", reason: "signed_out" }),
    ]) {
      notes.again();
      let answered = false;
      const answer = ask().finally(() => {
        answered = true;
      });
      await aMoment();
      assert.deepEqual([notes.asked(), answered], [1, false]);
      notes.write();
      await answer;
    }
  });
});

describe("one transaction", () => {
  test("a reply lost after the commit is fetched again: the same successor", async () => {
    let fail = false;
    const losing: Database = {
      ...database,
      async batch(statements) {
        const results = await database.batch(statements);
        if (fail) throw new DatabaseUnavailable("the connection broke after the commit");
        return results;
      },
    };
    const { credential: refreshToken, turn } = await start(buildSessions(losing));
    fail = true;
    await assert.rejects(turn(refreshToken), DatabaseUnavailable);
    fail = false;
    const again = await turn(refreshToken);
    assert.equal(again.outcome, "replayed");
    assert.equal((await turn(succeeded(again).refreshToken)).outcome, "turned");
  });

  test("a failure before the commit changes nothing, and the queue goes on", async () => {
    let fail = true;
    const failing: Database = {
      ...database,
      async batch(statements) {
        if (fail) throw new DatabaseUnavailable("no connection");
        return database.batch(statements);
      },
    };
    const honest = buildSessions(database);
    const started = await honest.sessions.start(appSession(await addUser(database)));
    const { turning } = buildSessions(failing);
    const token = started?.credential ?? "";
    await assert.rejects(turning.turn({ token, clientId: "first-party" }), DatabaseUnavailable);
    fail = false;
    assert.equal((await turning.turn({ token, clientId: "first-party" })).outcome, "turned");
  });

  test("a late retry with the attempt key is answered for 24 hours; without it the session ends", async () => {
    const { credential: refreshToken, turn } = await start();
    const first = succeeded(await turn(refreshToken, { attemptKey: "device" }));
    now += 23 * 3600_000;
    const again = succeeded(await turn(refreshToken, { attemptKey: "device" }));
    assert.equal(again.refreshToken, first.refreshToken);
    assert.deepEqual(await turn(refreshToken, { attemptKey: "guess" }), {
      outcome: "refused",
      reason: "reused",
    });
  });

  test("a token of another client is refused, and its session goes on", async () => {
    const { credential: refreshToken, turn } = await start();
    assert.deepEqual(await turn(refreshToken, { clientId: "other" }), {
      outcome: "refused",
      reason: "wrong_client",
    });
    assert.equal((await turn(refreshToken)).outcome, "turned");
  });

  test("idleness and the absolute end refuse with their reasons", async () => {
    const idle = await start(buildSessions(database, { appIdleSeconds: 60 }));
    const absolute = await start(buildSessions(database, { appAbsoluteSeconds: 60 }));
    now += 61_000;
    assert.deepEqual(await idle.turn(idle.credential), { outcome: "refused", reason: "idle" });
    assert.deepEqual(await absolute.turn(absolute.credential), { outcome: "refused", reason: "expired" });
  });

  test("a newer token than the row is refused; in a restore window it is adopted, and audited", async () => {
    const { credential: refreshToken, turn, session } = await start();
    const [before] = await database.all(selectAll(session.id));
    const newer = succeeded(await turn(succeeded(await turn(refreshToken)).refreshToken)).refreshToken;
    assert.ok(before);
    await database.batch([restore(session.id, before)]);
    assert.deepEqual(await turn(newer), { outcome: "refused", reason: "newer_generation" });
    const window = buildSessions(database, { restoreWindowUntil: new Date(now + 60_000).toISOString() });
    const adopted = succeeded(await window.turning.turn({ token: newer, clientId: "first-party" }));
    assert.equal((await turn(adopted.refreshToken)).outcome, "turned");
    const events = await createAudit({ database }).list({ sessionId: session.id });
    assert.ok(events.some(({ type }) => type === "session.newer_generation_adopted"));
  });
});

describe("turns on PostgreSQL", { skip: testEngine !== "postgres" && "SQLite changes rows in place" }, () => {
  test("touch no index, and stay in the page of their row", async () => {
    const { turning } = buildSessions(database);
    const started = await Promise.all(Array.from({ length: 16 }, () => start()));
    let tokens = started.map(({ credential }) => credential);
    const sizes = () =>
      database.one<{ rows: number; indexes: number }>(
        sql`SELECT pg_relation_size('sessions') AS rows, pg_indexes_size('sessions') AS indexes`,
      );
    const before = await sizes();
    for (let round = 0; round < 60; round++) {
      const turned = await Promise.all(
        tokens.map((token) => turning.turn({ token, clientId: "first-party" })),
      );
      tokens = turned.map((outcome) => succeeded(outcome).refreshToken);
    }
    const after = await sizes();
    assert.equal(after?.indexes, before?.indexes);
    // 960 versions of a row would take 40 pages more.
    assert.ok((after?.rows ?? 0) - (before?.rows ?? 0) <= 16 * 8192, `${before?.rows} → ${after?.rows}`);
  });

  test("of one moment are one statement to read and one to write", async () => {
    const asked: string[] = [];
    const watched: Database = {
      ...database,
      each: (statements) => {
        asked.push(`read ${new Set(statements.map(({ set }) => set)).size}`);
        return database.each(statements);
      },
      batch: (statements) => {
        asked.push(`write ${new Set(statements.map(({ set }) => set)).size}`);
        return database.batch(statements);
      },
    };
    const { turning } = buildSessions(watched);
    const started = await Promise.all(Array.from({ length: 16 }, () => start()));
    asked.length = 0;
    await Promise.all(
      started.map(({ credential }) => turning.turn({ token: credential, clientId: "first-party" })),
    );
    assert.deepEqual(asked, ["read 1", "write 1"]);
  });
});

async function spawnProcess() {
  const script = fileURLToPath(new URL("./test-turning-process.ts", import.meta.url));
  const child = spawn(
    process.execPath,
    [...process.execArgv.filter((arg) => !arg.startsWith("--test")), script, opened.url],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, "ready");
  return {
    async present(token: string, times: number): Promise<TurnOutcome[]> {
      child.stdin.write(`${JSON.stringify({ token, times })}\n`);
      return JSON.parse((await lines.next()).value as string);
    },
    async stop() {
      const exited = once(child, "exit");
      child.stdin.end();
      await exited;
    },
  };
}
