import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newId } from "../primitives/id.ts";
import type { Database } from "../storage/database.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import { createStandings } from "./standing.ts";
import { addUser, appSession, buildSessions } from "./test-turning.ts";

const HOUR = 3600;
const settings = {
  appIdleSeconds: HOUR,
  appAbsoluteSeconds: 24 * HOUR,
  browserIdleSeconds: HOUR,
  browserAbsoluteSeconds: HOUR,
};
let place: TestDatabase;
let rooms: ReturnType<typeof buildSessions>;
let now = 1_800_000_000_000;
const clock = { now: () => now };
const asked: string[] = [];

before(async () => {
  place = await openTestDatabase({ clock });
  rooms = buildSessions(place.database, settings);
});
after(() => place.close());

/** Tells what is asked of the database. */
function watched(): Database {
  return new Proxy(place.database, {
    get(target, name, receiver) {
      const value = Reflect.get(target, name, receiver);
      if (typeof value !== "function") return value;
      return (...parameters: unknown[]) => {
        asked.push(String(name));
        return value.apply(target, parameters);
      };
    },
  });
}

async function started(more = {}) {
  const result = await rooms.sessions.start({ ...appSession(await addUser(place.database)), ...more });
  assert.ok(result);
  return { sessionId: result.session.id, issuedAt: Math.floor(now / 1000) };
}

test("what has become of a token is one read, whoever asks", async () => {
  const token = await started();
  const standings = createStandings({ database: watched(), clock, settings });
  asked.length = 0;
  const found = await standings.of(token, { id: "api", version: undefined });
  assert.equal(found.standing, "good");
  assert.deepEqual(asked, ["one"]);
});

test("a session that was ended, has reached its end, lies idle or never was: over", async () => {
  const standings = createStandings({ database: place.database, clock, settings });
  const [ended, short, idle] = [await started(), await started({ expiresAt: now + 1000 }), await started()];
  const standing = async (token: { sessionId: string; issuedAt: number }) =>
    (await standings.of(token)).standing;
  for (const token of [ended, short, idle]) assert.equal(await standing(token), "good");
  await rooms.sessions.end(ended.sessionId, { actor: "user", reason: "signed_out" });
  assert.equal(await standing(ended), "over");
  now += 999;
  assert.equal(await standing(short), "good");
  now += 1;
  assert.equal(await standing(short), "over");
  now += HOUR * 1000;
  assert.equal(await standing(idle), "over");
  assert.equal(await standing({ sessionId: newId(now), issuedAt: 0 }), "over");
});

test("a caller that the database knows otherwise, or no more, is told nothing", async () => {
  const standings = createStandings({ database: place.database, clock, settings });
  const token = await started();
  const found = await standings.of(token, { id: "gone", version: 7 });
  assert.deepEqual(found, { standing: "caller_changed" });
});
