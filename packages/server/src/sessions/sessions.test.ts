import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import { addUser, appSession, buildSessions } from "./test-turning.ts";

const DAY = 24 * 3_600_000;
const operator = { actor: "operator", reason: "ended_by_operator" } as const;

let opened: TestDatabase;
let rooms: ReturnType<typeof buildSessions>;
let now = 1_800_000_000_000;
before(async () => {
  opened = await openTestDatabase({ clock: { now: () => now } });
  rooms = buildSessions(opened.database);
});
after(() => opened.close());

async function start(userId: string) {
  const started = await rooms.sessions.start(appSession(userId));
  assert.ok(started);
  return started;
}

const turn = (token: string) => rooms.turning.turn({ token, clientId: "first-party" });

describe("list", () => {
  test("a page of living sessions is not emptied by newer ones that were idle too long", async () => {
    const userId = await addUser(opened.database);
    const old = await start(userId);
    now += 1000;
    await Promise.all(Array.from({ length: limits.pageRowsMax + 5 }, () => start(userId)));
    now += 13 * DAY;
    await turn(old.credential);
    now += 2 * DAY;
    const alive = await rooms.sessions.list({ userId, alive: true });
    assert.deepEqual(
      alive.map(({ id }) => id),
      [old.session.id],
    );
    assert.equal((await rooms.sessions.list({ userId })).length, limits.pageRowsMax);
  });

  test("pages follow each other without a gap or a repetition", async () => {
    const userId = await addUser(opened.database);
    const ids = new Set(
      (await Promise.all(Array.from({ length: 25 }, () => start(userId)))).map(({ session }) => session.id),
    );
    const seen: string[] = [];
    for (let before: string | undefined; ; ) {
      const page = await rooms.sessions.list({ userId, rows: 10, ...(before && { before }) });
      seen.push(...page.map(({ id }) => id));
      before = page.at(-1)?.id;
      if (page.length < 10) break;
    }
    assert.equal(seen.length, 25);
    assert.deepEqual(new Set(seen), ids);
  });
});

describe("start", () => {
  test("nobody's session is not started", async () => {
    assert.equal(await rooms.sessions.start(appSession(newId(now))), undefined);
  });
});

describe("end", () => {
  test("ends once; a second time and an unknown one say that there was nothing to end", async () => {
    const { session } = await start(await addUser(opened.database));
    assert.equal(await rooms.sessions.end(session.id, operator), true);
    assert.equal(await rooms.sessions.end(session.id, operator), false);
    assert.equal(await rooms.sessions.end(newId(now), operator), false);
    const ended = await rooms.sessions.find(session.id);
    assert.equal(ended?.endReason, "ended_by_operator");
    assert.ok(ended && rooms.sessions.isOver(ended));
  });

  test("all of a user's sessions but one: the feed names each of the others, in numbers without a gap", async () => {
    const userId = await addUser(opened.database);
    const all = await Promise.all(Array.from({ length: 7 }, () => start(userId)));
    const stranger = await start(await addUser(opened.database));
    const kept = all[3]?.session.id;
    const { seq } = await rooms.revocations.snapshot();
    assert.equal(await rooms.sessions.endAllOfUser(userId, { ...operator, except: kept }), 6);
    const entries = (await rooms.revocations.since(seq)).flatMap((event) =>
      event.type === "revocation" ? [event.entry] : [],
    );
    assert.deepEqual(
      entries.map((entry) => entry.seq),
      [1, 2, 3, 4, 5, 6].map((step) => seq + step),
    );
    assert.deepEqual(
      new Set(entries.map((entry) => entry.session)),
      new Set(all.map(({ session }) => session.id).filter((id) => id !== kept)),
    );
    assert.equal((await turn(stranger.credential)).outcome, "turned");
  });
});

describe("deleteOver", () => {
  test("walks the whole table in slices and deletes what was over before then, nothing else", async () => {
    const userId = await addUser(opened.database);
    const ended = await start(userId);
    const alive = await start(userId);
    await rooms.sessions.end(ended.session.id, operator);
    const tooSoon = now;
    now += DAY;
    const walk = async (over: number) => {
      let deleted = 0;
      for (let cursor: string | undefined; ; ) {
        const slice = await rooms.sessions.deleteOver(over, cursor);
        deleted += slice.deleted;
        cursor = slice.next;
        if (cursor === undefined) return deleted;
      }
    };
    await walk(tooSoon);
    assert.ok(await rooms.sessions.find(ended.session.id));
    assert.ok((await walk(now)) >= 1);
    assert.equal(await rooms.sessions.find(ended.session.id), undefined);
    assert.ok(await rooms.sessions.find(alive.session.id));
  });
});
