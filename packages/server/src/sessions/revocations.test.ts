import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import sql, { raw } from "sql-template-tag";
import type { Database } from "../storage/database.ts";
import { openDatabase } from "../storage/open.ts";
import { openTestDatabase, type TestDatabase, testEngine } from "../storage/test-database.ts";
import { addUser, appSession, buildSessions } from "./test-turning.ts";

/** So slow that whatever is heard within a test's time was not found by looking. */
const NEVER = 600_000;
const postgresOnly = { skip: testEngine !== "postgres" && "SQLite tells nobody" };

let place: TestDatabase;
let here: Database;
let there: Database;
before(async () => {
  place = await openTestDatabase();
  here = place.database;
  there = await openDatabase({ url: place.url });
});
after(async () => {
  await there.close();
  await place.close();
});

/** The feed of another node, and when it has heard of a session. */
async function follow(every?: { told: number; untold: number }, database = there) {
  const { revocations } = buildSessions(database);
  const waiting = new Map<string, () => void>();
  await revocations.start(every);
  revocations.follow((event) => {
    if (event.type === "revocation" && event.entry.session) waiting.get(event.entry.session)?.();
  }, 0);
  return {
    revocations,
    hears: (id: string) => new Promise<void>((resolve) => waiting.set(id, resolve)),
  };
}

async function endOne(feed: { hears(id: string): Promise<void> }): Promise<number> {
  const { sessions } = buildSessions(here);
  const started = await sessions.start(appSession(await addUser(here)));
  assert.ok(started);
  const { id } = started.session;
  const heard = feed.hears(id);
  await sessions.end(id, { reason: "ended_by_operator", actor: "operator" });
  const begun = performance.now();
  await heard;
  return performance.now() - begun;
}

const cutListeners = raw(
  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keyturn listener' AND datname = current_database()",
);

async function untilTrue(done: () => boolean, everyMs = 10): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (done()) return;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  assert.fail("it did not come to that");
}

describe("the feed of another node", () => {
  test("hears by looking where nothing tells", async () => {
    const feed = await follow({ told: 50, untold: 50 });
    await endOne(feed);
    feed.revocations.stop();
  });

  test("on PostgreSQL it is told at the commit", postgresOnly, async () => {
    const feed = await follow({ told: NEVER, untold: NEVER });
    for (let round = 0; round < 5; round++) await endOne(feed);
    feed.revocations.stop();
  });

  test("is looked at slowly while words arrive, and fast where they do not", postgresOnly, async () => {
    let reads = 0;
    const counting = (listen: Database["listen"]): Database => ({
      ...there,
      listen,
      one: (statement) => {
        reads += 1;
        return there.one(statement);
      },
    });
    const silent = () => ({ hears: () => false, doubt() {}, stop: async () => {} });
    const fast = await follow({ told: NEVER, untold: 1 }, counting(silent));
    await untilTrue(() => reads > 20);
    fast.revocations.stop();
    const slow = await follow({ told: NEVER, untold: 1 }, counting(there.listen));
    let last = -1;
    await untilTrue(() => {
      const same = last === reads;
      last = reads;
      return same;
    }, 100);
    slow.revocations.stop();
  });

  test("a word that is late, where words were heard, is not waited for: within a second it is found by looking", async () => {
    const quiet = { hears: () => true, doubt() {}, stop: async () => {} };
    const feed = await follow(undefined, { ...there, listen: () => quiet });
    await endOne(feed);
    // Each right after a look, so that it waits for the whole pause; the least, for a machine that stands still.
    const waits = [await endOne(feed), await endOne(feed), await endOne(feed)];
    feed.revocations.stop();
    assert.ok(Math.min(...waits) < 700, `${waits} ms`);
  });

  test("a listener whose connection is cut is made again, and has missed nothing", postgresOnly, async () => {
    const feed = await follow({ told: NEVER, untold: NEVER });
    await endOne(feed);
    const cut = await here.all(cutListeners);
    assert.ok(cut.length > 0);
    await endOne(feed);
    await endOne(feed);
    feed.revocations.stop();
  });

  test("a change of the feed that is taken back tells nobody", postgresOnly, async () => {
    let words = 0;
    const listener = there.listen("keyturn_feed", () => {
      words += 1;
    });
    await untilTrue(() => listener.hears());
    const before = words;
    const move = sql`UPDATE revocation_position SET seq = seq + 1 WHERE id = 1`;
    await here
      .transaction(async (tx) => {
        await tx.run(move);
        throw new Error("taken back");
      })
      .catch(() => {});
    await here.batch([sql`UPDATE revocation_position SET seq = seq WHERE id = 1`]);
    await here.batch([move]);
    await untilTrue(() => words > before);
    assert.equal(words, before + 1);
    await listener.stop();
  });
});

test("a clock that is ahead for a while deletes no entry that is needed when it is right again", async () => {
  const second = 1000;
  const hour = 3600 * second;
  let now = 1_800_000_000_000;
  const { revocations, sessions } = buildSessions({ ...here, clock: { now: () => now } });
  const started = await sessions.start(appSession(await addUser(here)));
  assert.ok(started);
  await sessions.end(started.session.id, { reason: "ended_by_operator", actor: "operator" });
  const isKept = async () => {
    const { entries } = await revocations.snapshot();
    return entries.some(({ session }) => session === started.session.id);
  };
  assert.ok(await isKept());
  const right = now;
  now = right + 20 * hour;
  await revocations.deletePast();
  now = right + 60 * second;
  await revocations.deletePast();
  assert.ok(await isKept(), "it was needed all the time");
  now = right + 2 * hour;
  await revocations.deletePast();
  now = right + 3 * hour;
  await revocations.deletePast();
  now = right;
  assert.ok(!(await isKept()), "what is past at two looks is deleted");
});
