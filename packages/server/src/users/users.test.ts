import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hashSync as bcryptHash } from "@node-rs/bcrypt";
import sql from "sql-template-tag";
import { newId } from "../primitives/id.ts";
import { testEngine } from "../storage/test-database.ts";
import { openUsers, operator, type TestUsers } from "./test-users.ts";

let room: TestUsers;
before(async () => {
  room = await openUsers();
});
after(() => room?.close());

const nobody = "018f0000-0000-7000-8000-0123456789ab";
const typesOf = async (userId: string) => (await room.eventsOf(userId)).map(({ type }) => type);

async function startSession(userId: string) {
  const started = await room.sessions.start({
    userId,
    clientId: "app",
    kind: "app",
    scope: "",
    amr: ["pwd"],
  });
  assert.ok(started);
  return started.session;
}

const alive = async (userId: string) => (await room.sessions.list({ userId, alive: true })).length;

describe("adding users", () => {
  test("a user is found by id, username and address, in any case", async () => {
    const user = await room.add("Alice", {
      email: "Alice@Example.com",
      name: " Alice ",
      roles: ["b", "a", "b"],
    });
    assert.deepEqual(
      { ...user, id: "", createdAt: 0, updatedAt: 0 },
      {
        id: "",
        username: "Alice",
        email: "Alice@Example.com",
        emailVerified: false,
        name: "Alice",
        roles: ["a", "b"],
        createdAt: 0,
        updatedAt: 0,
        disabledAt: undefined,
      },
    );
    for (const text of [user.id, "alice", " ALICE", "ａｌｉｃｅ", "alice@example.COM"]) {
      assert.deepEqual(await room.users.find(text), user, text);
    }
    assert.deepEqual(await room.users.findById(user.id), user);
    for (const text of ["", "\0", "\ud800", nobody, "bob", "x@y.z", "a".repeat(1_000_000), "' OR 1=1 --"]) {
      assert.equal(await room.users.find(text), undefined);
      assert.equal(await room.users.findById(text), undefined);
    }
    assert.deepEqual(await typesOf(user.id), ["user.added"]);
  });

  test("a username or an address is taken once, whatever its case or compatibility form", async () => {
    await room.add("Dora", { email: "dora@example.com" });
    const add = async (username: string, email?: string) =>
      (await room.users.add({ username, email, password: "correct horse" }, operator)).outcome;
    assert.equal(await add("dORA"), "username_taken");
    assert.equal(await add("Ｄora", "dora@example.com"), "username_taken");
    assert.equal(await add("dora2", "DORA@EXAMPLE.COM"), "email_taken");
    assert.equal(await room.users.find("dora2"), undefined);
  });

  test("of 50 that add one name at once one wins, with one password and one event", async () => {
    const all = Array.from({ length: 50 }, (_, i) =>
      room.users.add(
        { username: "race", passwordHash: bcryptHash(`password ${i}`, { cost: 4 }), roles: [`r${i}`] },
        operator,
      ),
    );
    const results = await Promise.all(all);
    const won = results.flatMap((result) => (result.outcome === "added" ? [result.user] : []));
    assert.equal(won.length, 1);
    assert.equal(results.filter(({ outcome }) => outcome === "username_taken").length, 49);
    const [winner] = won;
    assert.ok(winner);
    assert.deepEqual(await room.users.findById(winner.id), winner);
    assert.deepEqual(await typesOf(winner.id), ["user.added"]);
    const strays = sql`SELECT 1 AS n FROM credentials c WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = c.user_id)`;
    assert.equal(await room.database.one(strays), undefined);
  });

  test("of 50 that add one address at once one wins", async () => {
    const all = Array.from({ length: 50 }, (_, i) =>
      room.users.add({ username: `mail${i}`, email: "one@example.com" }, operator),
    );
    const outcomes = (await Promise.all(all)).map(({ outcome }) => outcome);
    assert.equal(outcomes.filter((outcome) => outcome === "added").length, 1);
    assert.equal(outcomes.filter((outcome) => outcome === "email_taken").length, 49);
  });

  test("what cannot be taken is named with a sentence", async () => {
    for (const [field, input] of [
      ["username", { username: "a b" }],
      ["username", { username: "\0" }],
      ["email", { username: "v", email: "nope" }],
      ["name", { username: "v", name: "a\0b" }],
      ["roles", { username: "v", roles: ["a b"] }],
      ["password", { username: "v", password: "short" }],
      ["password", { username: "alexandra", password: "Alexandra" }],
      ["password", { username: "v", password: "x".repeat(1_000_000) }],
      ["passwordHash", { username: "v", passwordHash: "md5" }],
      [
        "passwordHash",
        { username: "v", password: "correct horse", passwordHash: bcryptHash("x", { cost: 4 }) },
      ],
    ] as const) {
      const refused = await room.users.add(input, operator);
      assert.ok(
        refused.outcome === "invalid" && refused.field === field && refused.problem.endsWith("."),
        field,
      );
    }
    assert.equal(await room.users.find("v"), undefined);
  });

  test("users are listed newest first, a page at a time", async () => {
    const [first, second] = await room.users.list({ rows: 2 });
    assert.ok(first && second && first.id > second.id);
    assert.equal((await room.users.list({ rows: 1, before: first.id }))[0]?.id, second.id);
    assert.ok((await room.users.list({ rows: 1_000_000 })).length <= 100);
  });
});

describe("registration", () => {
  const input = { username: "eve", email: "eve@example.com", password: "correct horse" };

  test("a taken username and a taken address get one answer, after the same hash", async () => {
    const registered = await room.users.register(input, { ip: "192.0.2.1" });
    assert.ok(registered.outcome === "registered" && !registered.user.emailVerified);
    assert.deepEqual(await typesOf(registered.user.id), ["user.registered"]);
    let hashes = 0;
    const { createUsers } = await import("./users.ts");
    const hash = (password: string) => {
      hashes += 1;
      return room.passwords.hash(password);
    };
    const counted = createUsers({ ...room.dependencies, passwords: { hash } });
    const refused = { outcome: "registration_refused" };
    assert.deepEqual(await counted.register({ ...input, email: "free@example.com" }, {}), refused);
    assert.deepEqual(await counted.register({ ...input, username: "free" }, {}), refused);
    assert.deepEqual(await counted.register(input, {}), refused);
    assert.equal(hashes, 3);
  });

  test("what is wrong with the form is told before anything is counted or hashed", async () => {
    for (let i = 0; i < 30; i++) {
      const refused = await room.users.register(
        { ...input, username: "new", password: "short" },
        { ip: "192.0.2.2" },
      );
      assert.ok(refused.outcome === "invalid" && refused.field === "password");
    }
  });

  test("an address makes 20 accounts at once, then one a minute", async () => {
    const from = { ip: "2001:db8::1" };
    const attempt = (i: number) =>
      room.users.register({ ...input, username: "eve", email: `e${i}@example.com` }, from);
    const outcomes = await Promise.all(Array.from({ length: 30 }, (_, i) => attempt(i)));
    assert.equal(outcomes.filter(({ outcome }) => outcome === "too_many_attempts").length, 10);
    const limited = await room.users.register({ ...input, username: "eve7" }, { ip: "2001:db8::2" });
    assert.ok(limited.outcome === "too_many_attempts" && limited.retryAfterSeconds <= 60);
    room.pass(61_000);
    assert.equal((await attempt(99)).outcome, "registration_refused");
  });
});

describe("changing users", () => {
  test("what is left out stays, null takes away, a changed address is unverified", async () => {
    const { id } = await room.add("frank", {
      email: "frank@example.com",
      emailVerified: true,
      name: "Frank",
    });
    const update = async (input: Parameters<typeof room.users.update>[1]) => {
      const updated = await room.users.update(id, input, operator);
      assert.equal(updated.outcome, "updated");
      return updated.outcome === "updated" ? updated.user : undefined;
    };
    assert.equal((await update({ name: null }))?.name, undefined);
    assert.equal((await update({ email: "Frank@Example.com" }))?.emailVerified, true);
    const moved = await update({ email: "f@example.com", username: "Frank2" });
    assert.deepEqual(
      [moved?.email, moved?.emailVerified, moved?.username],
      ["f@example.com", false, "Frank2"],
    );
    assert.equal((await update({ emailVerified: true }))?.emailVerified, true);
    assert.equal((await update({ emailVerified: false }))?.emailVerified, false);
    assert.equal((await update({ email: "g@example.com", emailVerified: true }))?.emailVerified, true);
    const without = await update({ email: null });
    assert.deepEqual([without?.email, without?.emailVerified], [undefined, false]);
    assert.equal((await update({ emailVerified: true }))?.emailVerified, false);
    assert.equal(await room.users.find("frank"), undefined);
    assert.equal((await typesOf(id)).filter((type) => type === "user.updated").length, 8);
  });

  test("a taken username or address is refused and nothing is changed", async () => {
    const { id } = await room.add("gina", { email: "gina@example.com" });
    await room.add("hugo", { email: "hugo@example.com" });
    const outcome = async (input: Parameters<typeof room.users.update>[1]) =>
      (await room.users.update(id, input, operator)).outcome;
    assert.equal(await outcome({ username: "HUGO", name: "changed" }), "username_taken");
    assert.equal(await outcome({ email: "HUGO@example.com", name: "changed" }), "email_taken");
    assert.equal(await outcome({ username: "Gina", email: "HUGO@example.com" }), "email_taken");
    assert.equal(await outcome({ username: "hugo", email: "hugo@example.com" }), "username_taken");
    assert.equal((await room.users.findById(id))?.name, undefined);
    assert.deepEqual(await typesOf(id), ["user.added"]);
    assert.equal((await room.users.update(nobody, { name: "x" }, operator)).outcome, "unknown_user");
    assert.equal((await room.users.update("gina", { name: "x" }, operator)).outcome, "unknown_user");
    assert.equal(await outcome({ username: "a\0" }), "invalid");
  });

  test("roles are replaced as a whole", async () => {
    const { id } = await room.add("ida", { roles: ["a", "b"] });
    assert.deepEqual(await room.users.setRoles(id, ["c", "b"], operator), {
      outcome: "changed",
      roles: ["b", "c"],
    });
    assert.deepEqual((await room.users.findById(id))?.roles, ["b", "c"]);
    assert.deepEqual(await room.users.setRoles(id, [], operator), { outcome: "changed", roles: [] });
    assert.deepEqual((await room.users.findById(id))?.roles, []);
    assert.equal((await room.users.setRoles(nobody, ["a"], operator)).outcome, "unknown_user");
    assert.equal((await room.users.setRoles(id, ["a b"], operator)).outcome, "invalid");
    assert.deepEqual(await typesOf(id), ["user.added", "user.roles_changed", "user.roles_changed"]);
    assert.deepEqual(await typesOf(nobody), []);
  });

  test("a new password takes the place of the old one and ends sessions when asked to", async () => {
    const { id } = await room.add("jane");
    await startSession(id);
    const set = (
      input: Omit<Parameters<typeof room.users.setPassword>[1], "endSessions">,
      endSessions = false,
    ) => room.users.setPassword(id, { ...input, endSessions }, operator);
    assert.equal((await set({ password: "battery staple" })).outcome, "changed");
    assert.equal(await alive(id), 1);
    const signIn = async (password: string) =>
      (await room.signIn({ username: "jane", password, clientId: "app" })).outcome;
    assert.equal(await signIn("correct horse"), "invalid_credentials");
    assert.equal(await signIn("battery staple"), "signed_in");
    const announced = room.announced.count;
    assert.equal(
      (await set({ passwordHash: bcryptHash("from elsewhere", { cost: 4 }) }, true)).outcome,
      "changed",
    );
    assert.equal(await alive(id), 0);
    assert.equal(room.announced.count, announced + 1);
    assert.equal(await signIn("from elsewhere"), "signed_in");
    const rows = sql`SELECT count(*) AS n FROM credentials c JOIN users u ON u.id = c.user_id WHERE u.username = 'jane'`;
    assert.deepEqual(await room.database.one(rows), { n: 1 });
    assert.equal((await set({ password: "jane" })).outcome, "invalid");
    assert.equal((await set({})).outcome, "invalid");
    const unknown = await room.users.setPassword(
      nobody,
      { password: "correct horse", endSessions: true },
      operator,
    );
    assert.equal(unknown.outcome, "unknown_user");
  });
});

describe("taking access away", () => {
  test("disabling ends all sessions in the same act; enabling does not bring them back", async () => {
    const { id } = await room.add("kate");
    const bystander = await room.add("lars");
    await startSession(id);
    await startSession(id);
    await startSession(bystander.id);
    const announced = room.announced.count;
    assert.equal(await room.users.disable(id, operator), "done");
    assert.equal(await room.users.disable(id, operator), "unchanged");
    assert.equal(room.announced.count, announced + 1);
    assert.ok((await room.users.findById(id))?.disabledAt);
    assert.equal(await alive(id), 0);
    assert.equal(await alive(bystander.id), 1);
    const [session] = await room.sessions.list({ userId: id });
    assert.equal(session?.endReason, "user_disabled");
    assert.equal(
      await room.sessions.start({ userId: id, clientId: "app", kind: "app", scope: "", amr: [] }),
      undefined,
    );
    assert.equal(await room.users.enable(id, operator), "done");
    assert.equal(await room.users.enable(id, operator), "unchanged");
    assert.equal((await room.users.findById(id))?.disabledAt, undefined);
    assert.equal(await alive(id), 0);
    const own = (await typesOf(id)).filter((type) => type.startsWith("user."));
    assert.deepEqual(own, ["user.added", "user.disabled", "user.enabled"]);
    assert.equal(await room.users.disable(nobody, operator), "unchanged");
    assert.equal(await room.users.disable("kate", operator), "unchanged");
  });

  test("removing ends all sessions and leaves nothing of the user but the audit log", async () => {
    const { id } = await room.add("mona", { email: "mona@example.com", roles: ["a"] });
    await startSession(id);
    assert.equal(await room.users.remove(id, operator), "done");
    assert.equal(await room.users.remove(id, operator), "unchanged");
    assert.equal(await room.users.findById(id), undefined);
    assert.equal(await alive(id), 0);
    const strays = await room.database.each([
      sql`SELECT 1 AS n FROM credentials c WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = c.user_id)`,
      sql`SELECT 1 AS n FROM user_roles r WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = r.user_id)`,
    ]);
    assert.deepEqual(strays, [[], []]);
    const types = await typesOf(id);
    assert.deepEqual(
      types.filter((type) => type.startsWith("user.")),
      ["user.added", "user.removed"],
    );
    assert.ok(types.includes("session.ended"));
    assert.notEqual((await room.add("mona", { email: "mona@example.com" })).id, id);
  });

  // On PostgreSQL the start of a session has to hold the user's row first: to be done in sessions.start.
  const todo = testEngine === "postgres" && "sessions.start does not hold the user's row";
  test("no session outlives a disabling that raced with sign-ins", { todo }, async () => {
    const { id } = await room.add("nina");
    const newSession = { userId: id, clientId: "app", kind: "app", scope: "", amr: ["pwd"] } as const;
    for (let round = 0; round < 25; round++) {
      await Promise.all([
        ...Array.from({ length: 8 }, () => room.sessions.start(newSession)),
        room.users.disable(id, operator),
        ...Array.from({ length: 8 }, () => room.sessions.start(newSession)),
      ]);
      assert.equal(await alive(id), 0, `round ${round}`);
      await room.users.enable(id, operator);
    }
  });

  test("an id that nobody has changes nothing", async () => {
    const before = (await room.events()).length;
    const id = newId(room.clock.now());
    for (const act of [room.users.disable, room.users.enable, room.users.remove])
      assert.equal(await act(id, operator), "unchanged");
    assert.deepEqual(await typesOf(id), []);
    assert.equal((await room.events()).length, before);
  });
});
