import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { decodeJwt } from "jose";
import sql from "sql-template-tag";
import { idToBytes } from "../primitives/id.ts";
import { lockUser } from "../sessions/sessions.sql.ts";
import { addUser, appSession, buildSessions } from "../sessions/test-turning.ts";
import type { Database, Sql } from "../storage/database.ts";
import { openDatabase } from "../storage/open.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import { browserAt } from "../test-browser.ts";
import { startTestServer, stoppedClock, type TestServer, type Tokens } from "../test-server.ts";
import { createGrants } from "./grants.ts";
import { createReminting } from "./reminting.ts";
import { lockRoleChanges } from "./roles.sql.ts";
import { createRoles } from "./roles.ts";

const by = { actor: "operator" } as const;
let names = 0;
const fresh = (word: string) => `${word}-${++names}`;

const rights = (token: string) =>
  decodeJwt(token) as { iat: number; roles?: string[]; permissions?: string[] };

async function verdict(server: TestServer, token: string): Promise<string> {
  const verified = await server.app.guard.verify(token);
  return verified.ok ? "good" : verified.refusal.reason;
}

async function refreshed(server: TestServer, refreshToken: string): Promise<Tokens> {
  const reply = await server.call("/refresh", { json: { refreshToken } });
  assert.equal(reply.status, 200, reply.text);
  return reply.json as unknown as Tokens;
}

describe("the second of the change", () => {
  const clock = stoppedClock();
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ clock });
  });
  after(() => server.close());

  for (const millisecond of [0, 1, 500, 749, 750, 999]) {
    test(`at millisecond ${millisecond}: what was minted before is refused, what is minted after is good at once`, async () => {
      clock.pass((1000 - (clock.now() % 1000) + millisecond) / 1000 + 60);
      assert.equal(clock.now() % 1000, millisecond);
      const user = await server.addUser(fresh("user"), { roles: ["old"] });
      const old = await server.login(user.username);
      assert.equal(await verdict(server, old.accessToken), "good");
      await server.app.users.setRoles(user.id, ["new"], by);
      assert.equal(await verdict(server, old.accessToken), "reminted");
      const renewed = await refreshed(server, old.refreshToken);
      assert.deepEqual(rights(renewed.accessToken).roles, ["new"]);
      assert.equal(await verdict(server, renewed.accessToken), "good");
      clock.pass(400);
      assert.equal(await verdict(server, renewed.accessToken), "good", "and stays good");
    });
  }

  test("changes in one and the same millisecond: each refuses what the one before let in, up to three", async () => {
    clock.pass(61 - (clock.now() % 1000) / 1000);
    assert.equal(Math.round(clock.now()) % 1000, 0);
    const user = await server.addUser(fresh("user"));
    let tokens = await server.login(user.username);
    const seen = [tokens.accessToken];
    for (const role of ["a", "b", "c"]) {
      await server.app.users.setRoles(user.id, [role], by);
      for (const token of seen) assert.equal(await verdict(server, token), "reminted");
      tokens = await refreshed(server, tokens.refreshToken);
      assert.deepEqual(rights(tokens.accessToken).roles, [role]);
      assert.equal(await verdict(server, tokens.accessToken), "good");
      seen.push(tokens.accessToken);
    }
    const ahead = rights(tokens.accessToken).iat - clock.now() / 1000;
    assert.ok(ahead <= 3.001, `guards tolerate 5 seconds, and it is ${ahead}`);
  });

  test("a cookie session: GET /session gives a new token after any change of its rights, and none without one", async () => {
    clock.pass(60);
    const role = fresh("role");
    await server.app.roles.add({ name: role, permissions: ["a"] }, by);
    const user = await server.addUser(fresh("user"), { roles: [role] });
    const browser = browserAt(server);
    await browser.signIn(user.username);
    const session = async () => String((await browser.session()).json.accessToken);
    let last = await session();
    assert.equal(await session(), last);
    const changes = [
      () => server.app.roles.update(role, { permissions: ["b"] }, by),
      () => server.app.grants.grant(user.id, { role: "x" }, by),
      () => server.app.roles.remove(role, by),
    ];
    for (const change of changes) {
      await change();
      assert.equal(await verdict(server, last), "reminted");
      const next = await session();
      assert.notEqual(next, last);
      assert.equal(await verdict(server, next), "good");
      assert.equal(await session(), next, "and it is kept again");
      last = next;
    }
    assert.deepEqual(rights(last).roles, ["x"]);
    // What changes no rights asks for no new token.
    await server.app.roles.add({ name: fresh("unheld"), permissions: ["p"] }, by);
    assert.equal(await session(), last);
  });

  test("one entry a session of the user, nobody else's; an ended session gets none", async () => {
    clock.pass(60);
    const user = await server.addUser(fresh("user"));
    const other = await server.login((await server.addUser(fresh("user"))).username);
    const [one, two, ended] = [
      await server.login(user.username),
      await server.login(user.username),
      await server.login(user.username),
    ];
    await server.app.sessions.end(ended.sessionId, { ...by, reason: "ended_by_operator" });
    const { seq } = await server.app.revocations.snapshot();
    await server.app.users.setRoles(user.id, ["a"], by);
    const entries = (await server.app.revocations.since(seq)).map((event) => "entry" in event && event.entry);
    assert.deepEqual(
      entries.map((entry) => entry && [entry.session, entry.soft, entry.seq - seq]).sort(),
      [
        [one.sessionId, true, 2],
        [two.sessionId, true, 1],
      ].sort(),
    );
    assert.equal(await verdict(server, other.accessToken), "good");
    assert.equal(await verdict(server, ended.accessToken), "revoked");
    assert.equal(
      (await server.app.sessions.list({ userId: user.id, alive: true })).length,
      2,
      "nobody is signed out",
    );
  });

  test("a role that many users have: one entry for everybody's tokens, and everybody goes on", async () => {
    clock.pass(60);
    const role = fresh("crowd");
    await server.app.roles.add({ name: role, permissions: ["a"] }, by);
    const user = await server.addUser(fresh("user"), { roles: [role] });
    const bystander = await server.login((await server.addUser(fresh("user"))).username);
    const browser = browserAt(server);
    await browser.signIn(user.username);
    const cookieToken = String((await browser.session()).json.accessToken);
    await crowd(server, role);
    const tokens = await server.login(user.username);
    const { seq } = await server.app.revocations.snapshot();
    await server.app.roles.update(role, { permissions: ["b"] }, by);
    const entries = await server.app.revocations.since(seq);
    assert.deepEqual(
      entries.map((event) => "entry" in event && [event.entry.all, event.entry.soft]),
      [[true, true]],
    );
    for (const old of [tokens, bystander]) {
      assert.equal(await verdict(server, old.accessToken), "reminted");
      assert.equal(await verdict(server, (await refreshed(server, old.refreshToken)).accessToken), "good");
    }
    assert.equal(await verdict(server, cookieToken), "reminted");
    const renewed = String((await browser.session()).json.accessToken);
    assert.equal(await verdict(server, renewed), "good");
    assert.deepEqual(rights(renewed).permissions, ["b"]);
    // A session that starts at this very moment must not look older than the entry either.
    assert.equal(await verdict(server, (await server.login(user.username)).accessToken), "good");
  });
});

/** 101 users who have the role. */
async function crowd(server: TestServer, role: string): Promise<void> {
  const { id } = await server.addUser(fresh("crowd"), { roles: [role] });
  const template = idToBytes(id);
  const statements = Array.from({ length: 100 }, (_, i) => {
    const bytes = Buffer.from(template);
    bytes.writeUInt32BE(i + 1, 12);
    const name = `${role}-member-${i}`;
    return [
      sql`INSERT INTO users (id, username, username_key, created_at, updated_at)
        VALUES (${bytes}, ${name}, ${name}, 1, 1)`,
      sql`INSERT INTO user_roles (user_id, role) VALUES (${bytes}, ${role})`,
    ];
  });
  await server.database.batch(statements.flat());
}

describe("races", () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  /** Every token either has the rights of now, or is refused by the guard. */
  async function assertNoneSlips(
    tokens: readonly string[],
    isNew: (token: string) => boolean,
  ): Promise<number> {
    let old = 0;
    for (const token of tokens) {
      const found = await verdict(server, token);
      assert.equal(found, isNew(token) ? "good" : "reminted", JSON.stringify(rights(token)));
      if (!isNew(token)) old++;
    }
    return old;
  }

  test("a role changes while 50 refreshes run, again and again: every token minted after it has the new rights", async () => {
    const user = await server.addUser(fresh("user"), { roles: ["r0"] });
    let sessions: Tokens[] = [];
    for (let group = 0; group < 10; group++) {
      sessions.push(...(await Promise.all(Array.from({ length: 5 }, () => server.login(user.username)))));
    }
    let old = 0;
    for (let round = 1; round <= 5; round++) {
      const role = `r${round}`;
      const refreshing = sessions.map(({ refreshToken }) => refreshed(server, refreshToken));
      if (round % 2 === 0) await Promise.race(refreshing);
      const changing = server.app.users.setRoles(user.id, [role], by);
      sessions = await Promise.all(refreshing);
      await changing;
      const isNew = (token: string) => rights(token).roles?.[0] === role;
      old += await assertNoneSlips(
        sessions.map(({ accessToken }) => accessToken),
        isNew,
      );
      sessions = await Promise.all(sessions.map(({ refreshToken }) => refreshed(server, refreshToken)));
      for (const { accessToken } of sessions) {
        assert.ok(isNew(accessToken), "asked for after the change");
        assert.equal(await verdict(server, accessToken), "good");
      }
    }
    assert.ok(old > 0, "the race was never run");
  });

  test("a role's permissions change while users sign in: nobody's token keeps the old ones", async () => {
    const role = fresh("role");
    await server.app.roles.add({ name: role, permissions: ["p0"] }, by);
    const user = await server.addUser(fresh("user"), { roles: [role] });
    for (let round = 1; round <= 5; round++) {
      const signing = Array.from({ length: 8 }, () => server.login(user.username));
      await Promise.race(signing);
      await server.app.roles.update(role, { permissions: [`p${round}`] }, by);
      const tokens = (await Promise.all(signing)).map(({ accessToken }) => accessToken);
      await assertNoneSlips(tokens, (token) => rights(token).permissions?.[0] === `p${round}`);
    }
  });

  test("a role is given while it changes: whoever has it in the end has it as it is in the end", async () => {
    const { roles, grants } = server.app;
    for (let round = 0; round < 4; round++) {
      const role = fresh("role");
      await roles.add({ name: role, permissions: ["old"] }, by);
      const user = await server.addUser(fresh("user"));
      const before = await server.login(user.username);
      const tokens: Tokens[] = [before];
      const refreshing = (async () => {
        for (let turn = 0; turn < 12; turn++)
          tokens.push(await refreshed(server, tokens.at(-1)?.refreshToken ?? ""));
      })();
      await Promise.all([
        grants.grant(user.id, { role }, by),
        roles.update(role, { permissions: ["new"] }, by),
        refreshing,
      ]);
      await assertNoneSlips(
        tokens.map(({ accessToken }) => accessToken),
        (token) => rights(token).permissions?.[0] === "new",
      );
    }
  });

  test("a role changes on one node: the other one's cookie sessions and turns have it at once", async () => {
    const other = await startTestServer({ beside: server });
    try {
      const user = await server.addUser(fresh("user"), { roles: ["a"] });
      const [here, there] = [browserAt(server), browserAt(other)];
      await there.signIn(user.username);
      await here.signIn(user.username);
      assert.deepEqual(rights(String((await there.session()).json.accessToken)).roles, ["a"]);
      const { refreshToken } = await other.login(user.username);
      await server.app.users.setRoles(user.id, ["b"], by);
      assert.deepEqual(rights(String((await there.session()).json.accessToken)).roles, ["b"]);
      assert.deepEqual(rights((await refreshed(other, refreshToken)).accessToken).roles, ["b"]);
    } finally {
      await other.close();
    }
  });
});

describe("what is under way elsewhere is waited for", () => {
  let place: TestDatabase;
  let elsewhere: Database;
  before(async () => {
    place = await openTestDatabase();
    elsewhere = await openDatabase({ url: place.url, clock: place.database.clock });
  });
  after(async () => {
    await elsewhere.close();
    await place.close();
  });

  /** Begins the act while a transaction elsewhere has run its statements and not committed; then lets it commit. */
  async function during<T>(statements: Sql[], act: () => Promise<T>): Promise<T> {
    const release = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const held = elsewhere.transaction(async (tx) => {
      for (const statement of statements) await tx.run(statement);
      begun.resolve();
      await release.promise;
    });
    await begun.promise;
    let isDone = false;
    const acting = act().finally(() => {
      isDone = true;
    });
    for (let trips = 0; trips < 30; trips++) await place.database.one(sql`SELECT count(*) AS n FROM users`);
    assert.equal(isDone, false, "it did not wait");
    release.resolve();
    await held;
    return acting;
  }

  const roomsOn = (database: Database) => {
    const reminting = createReminting({ database, clock: database.clock, announce: async () => {} });
    return { grants: createGrants({ reminting }), roles: createRoles({ database, reminting }) };
  };

  test("a session that starts: its row is there before the change looks for the user's sessions", async () => {
    const { database } = place;
    const [userId, other] = [await addUser(database), await addUser(database)];
    const started = await buildSessions(database).sessions.start(appSession(other));
    assert.ok(started);
    const id = idToBytes(started.session.id);
    const starting = [
      lockUser(userId),
      sql`UPDATE sessions SET user_id = ${idToBytes(userId)} WHERE id = ${id}`,
    ];
    const { grants } = roomsOn(database);
    const granted = await during(starting, () => grants.grant(userId, { role: "a" }, by));
    assert.deepEqual(granted, { outcome: "changed" });
    assert.ok(await database.one(sql`SELECT seq FROM revocations WHERE session_id = ${id} AND soft = 1`));
  });

  test("a grant: the change of the role finds the user, and the user's sessions", async () => {
    const { database } = place;
    const { grants, roles } = roomsOn(database);
    await roles.add({ name: "changing", permissions: ["old"] }, by);
    const userId = await addUser(database);
    const started = await buildSessions(database).sessions.start(appSession(userId));
    assert.ok(started);
    const granting = [
      lockRoleChanges(),
      sql`INSERT INTO user_roles (user_id, role) VALUES (${idToBytes(userId)}, 'changing')`,
    ];
    const changed = await during(granting, () => roles.update("changing", { permissions: ["new"] }, by));
    assert.equal(changed.outcome, "changed");
    const id = idToBytes(started.session.id);
    assert.ok(await database.one(sql`SELECT seq FROM revocations WHERE session_id = ${id} AND soft = 1`));
    // And the other way round, by both doors for a user's roles.
    const granted = await during([lockRoleChanges()], () => grants.grant(userId, { role: "b" }, by));
    assert.deepEqual(granted, { outcome: "changed" });
  });
});

describe("a slow commit", () => {
  test("an entry that was overtaken by the clock is sent again, later than whoever still saw the old rights", async () => {
    let now = 1_800_000_000_000;
    const place = await openTestDatabase({ clock: { now: () => now } });
    const { database } = place;
    const clock = { now: () => now };
    // Each transaction takes 1.2 seconds to commit, twice; then it is quick again.
    let slow = 0;
    const slowDatabase = {
      ...database,
      transaction: async <T>(work: Parameters<typeof database.transaction<T>>[0]) => {
        const value = await database.transaction(work);
        if (slow-- > 0) now += 1200;
        return value;
      },
    };
    let announced = 0;
    const announce = async () => void announced++;
    const reminting = createReminting({ database: slowDatabase, clock, announce });
    const grants = createGrants({ reminting });
    const userId = await addUser(database);
    assert.ok(await buildSessions(database).sessions.start(appSession(userId)));
    slow = 2;
    assert.equal((await grants.grant(userId, { role: "a" }, by)).outcome, "changed");
    const entries = await database.all<{ before_seconds: number }>(
      sql`SELECT before_seconds FROM revocations ORDER BY seq`,
    );
    assert.deepEqual(
      entries.map(({ before_seconds }) => before_seconds - 1_800_000_000),
      [1, 2, 3],
    );
    assert.ok((entries.at(-1)?.before_seconds ?? 0) * 1000 > now);
    assert.equal(announced, 1);
    await place.close();
  });
});
