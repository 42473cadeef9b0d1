import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hashSync as bcryptHash } from "@node-rs/bcrypt";
import sql from "sql-template-tag";
import { openUsers, operator, type TestUsers } from "./test-users.ts";

let room: TestUsers;
before(async () => {
  room = await openUsers();
});
after(() => room?.close());

const nobody = "018f0000-0000-7000-8000-0123456789ab";
const typesOf = async (userId: string) => (await room.eventsOf(userId)).map(({ type }) => type);

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
        resourceRoles: [],
        createdAt: 0,
        updatedAt: 0,
        externalId: undefined,
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
    const counted = createUsers({ ...room.dependencies, passwords: { ...room.passwords, hash } });
    const refused = { outcome: "registration_refused" };
    assert.deepEqual(await counted.register({ ...input, email: "free@example.com" }, {}), refused);
    assert.deepEqual(await counted.register({ ...input, username: "free" }, {}), refused);
    assert.deepEqual(await counted.register(input, {}), refused);
    assert.equal(hashes, 3);
  });

  test("a letter to confirm the address waits if and only if the account was made, and mail is sent here", async () => {
    const mails = async () => {
      const rows = await room.database.all<{ address: string }>(sql`SELECT address FROM mails ORDER BY id`);
      return rows.map(({ address }) => address);
    };
    const before = await mails();
    let woken = 0;
    const mail = { isOn: true, wake: () => void woken++ };
    const { createUsers } = await import("./users.ts");
    const on = createUsers({ ...room.dependencies, mail });
    await on.register({ ...input, username: "told", email: "told@example.com" }, {});
    await on.register({ ...input, username: "told", email: "other@example.com" }, {});
    assert.deepEqual(await mails(), [...before, "told@example.com"]);
    assert.equal(woken, 1);
    const off = createUsers({ ...room.dependencies, mail: { ...mail, isOn: false } });
    await off.register({ ...input, username: "untold", email: "untold@example.com" }, {});
    assert.deepEqual(await mails(), [...before, "told@example.com"]);
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
