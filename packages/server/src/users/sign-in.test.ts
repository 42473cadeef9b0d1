import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { hashSync as bcryptHash } from "@node-rs/bcrypt";
import sql from "sql-template-tag";
import { createRateLimits } from "../rate-limits/rate-limits.ts";
import type { Database } from "../storage/database.ts";
import { createSignIn, type SignIn } from "./sign-in.ts";
import { openUsers, operator, type TestUsers } from "./test-users.ts";

let room: TestUsers;
before(async () => {
  room = await openUsers();
});
after(() => room?.close());

let lastAddress = 0;
/** An address that nobody has used before. */
const newAddress = () => {
  lastAddress += 1;
  return `10.${lastAddress >> 16}.${(lastAddress >> 8) & 255}.${lastAddress & 255}`;
};

const signIn = (username: string, password = "correct horse", more: Partial<SignIn> = {}) =>
  room.signIn({ username, password, clientId: "app", ip: newAddress(), ...more });
const outcome = async (...request: Parameters<typeof signIn>) => (await signIn(...request)).outcome;
const passwordHashOf = async (userId: string) =>
  (
    await room.database.one<{ secret: string }>(
      sql`SELECT secret FROM credentials WHERE user_id = ${Buffer.from(userId.replaceAll("-", ""), "hex")}`,
    )
  )?.secret;

describe("signing in", () => {
  test("by username or address starts a session with what is known of the device", async () => {
    const user = await room.add("alice", { email: "alice@example.com", roles: ["editor"] });
    for (const username of ["alice", "ALICE ", "Alice@Example.com"]) {
      const result = await signIn(username, "correct horse", {
        ip: "192.0.2.1",
        device: "Alice's\0 phone",
        userAgent: "x".repeat(100_000),
      });
      assert.ok(result.outcome === "signed_in");
      assert.deepEqual(result.user, user);
      assert.match(result.credential, /^krt_/);
      const { session } = result;
      assert.deepEqual(await room.sessions.find(session.id), session);
      assert.deepEqual(
        [
          session.userId,
          session.clientId,
          session.kind,
          session.scope,
          session.amr,
          session.device,
          session.ip,
        ],
        [user.id, "app", "app", "", ["pwd"], "Alice's phone", "192.0.2.1"],
      );
      assert.equal(session.userAgent?.length, 300);
    }
    const types = (await room.eventsOf(user.id)).map(({ type }) => type);
    assert.deepEqual(types, ["user.added", "session.started", "session.started", "session.started"]);
  });

  test("an address or a device that is garbage is left out", async () => {
    await room.add("garbage");
    const result = await signIn("garbage", "correct horse", {
      ip: "\0; DROP",
      device: "\ud800\n\0",
      userAgent: "\0",
    });
    assert.ok(result.outcome === "signed_in");
    assert.deepEqual(
      [result.session.ip, result.session.device, result.session.userAgent],
      [undefined, "\ufffd", undefined],
    );
  });

  test("hostile names and passwords are wrong ones", async () => {
    await room.add("target");
    const hostile = [
      "",
      "\0",
      "target\0",
      "\ud800",
      "' OR 1=1 --",
      "a".repeat(1_000_000),
      "🦊",
      "tаrget",
      "%",
      "@",
    ];
    for (const text of hostile) {
      assert.equal(await outcome(text), "invalid_credentials");
      assert.equal(await outcome("target", text), "invalid_credentials");
    }
  });

  test("an imported hash is replaced by ours at the first right password", async () => {
    const { id } = await room.add("imported", { passwordHash: bcryptHash("correct horse", { cost: 4 }) });
    assert.equal(await outcome("imported", "wrong horse"), "invalid_credentials");
    assert.match((await passwordHashOf(id)) ?? "", /^\$2b\$/);
    assert.equal(await outcome("imported"), "signed_in");
    const upgraded = await passwordHashOf(id);
    assert.match(upgraded ?? "", /^\$argon2id\$/);
    assert.equal(await outcome("imported"), "signed_in");
    assert.equal(await passwordHashOf(id), upgraded);
    const types = (await room.eventsOf(id)).map(({ type }) => type);
    assert.equal(types.filter((type) => type === "password.hash_upgraded").length, 1);
  });

  test("a hash upgrade does not undo a password set meanwhile", async () => {
    const { id } = await room.add("changing", { passwordHash: bcryptHash("correct horse", { cost: 4 }) });
    const passwords = {
      ...room.passwords,
      async hash(password: string) {
        const hashed = await room.passwords.hash(password);
        // The password is changed between the verification and the upgrade.
        const set = await room.users.setPassword(
          id,
          { password: "battery staple", endSessions: false },
          operator,
        );
        assert.equal(set.outcome, "changed");
        return hashed;
      },
    };
    const raced = createSignIn({ ...room.dependencies, passwords });
    await raced({ username: "changing", password: "correct horse", clientId: "app" });
    assert.equal(await outcome("changing", "correct horse"), "invalid_credentials");
    assert.equal(await outcome("changing", "battery staple"), "signed_in");
    assert.ok(!(await room.eventsOf(id)).some(({ type }) => type === "password.hash_upgraded"));
  });

  test("a user disabled while the password is being verified does not get in", async () => {
    const { id } = await room.add("late");
    const passwords = {
      ...room.passwords,
      async verify(...given: Parameters<typeof room.passwords.verify>) {
        const verified = await room.passwords.verify(...given);
        await room.users.disable(id, operator);
        return verified;
      },
    };
    const raced = createSignIn({ ...room.dependencies, passwords });
    const result = await raced({ username: "late", password: "correct horse", clientId: "app" });
    assert.deepEqual(result, { outcome: "invalid_credentials" });
    assert.equal((await room.sessions.list({ userId: id })).length, 0);
  });

  test("when too many passwords are being verified it is busy, and that costs no attempt", async () => {
    await room.add("patient");
    const busy = async () => ({ outcome: "busy" }) as const;
    const loaded = createSignIn({
      ...room.dependencies,
      passwords: { hash: busy, verify: busy, verifyNothing: busy },
    });
    const request = { username: "patient", password: "correct horse", clientId: "app", ip: newAddress() };
    for (let i = 0; i < 30; i++) assert.deepEqual(await loaded(request), { outcome: "busy" });
    assert.deepEqual(await loaded({ ...request, username: "nobody" }), { outcome: "busy" });
    assert.equal((await room.signIn(request)).outcome, "signed_in");
  });
});

describe("a refused sign-in", () => {
  /** A room whose hashes and statements are counted, in order. */
  function counted() {
    const steps: string[] = [];
    const step = <F extends (...given: never[]) => unknown>(name: string, work: F): F =>
      ((...given) => {
        steps.push(name);
        return work(...given);
      }) as F;
    const { database: plain, passwords: real } = room;
    const counting = (name: keyof Database) =>
      step(name, (...given: unknown[]) => (plain[name] as (...given: unknown[]) => unknown)(...given));
    const database = {
      ...plain,
      one: counting("one"),
      all: counting("all"),
      each: counting("each"),
      batch: step("batch", (statements: Parameters<Database["batch"]>[0]) => {
        steps.push(...statements.map(({ sql: text }) => text));
        return plain.batch(statements);
      }),
    } as Database;
    const passwords = {
      hash: step("hash", real.hash),
      verify: step("verification", real.verify),
      verifyNothing: step("verification", real.verifyNothing),
    };
    const { clock } = room;
    const { arrivals } = room.dependencies;
    const rateLimits = createRateLimits({ database, clock, key: createSecretKey(Buffer.alloc(32, 3)) });
    return { steps, signIn: createSignIn({ database, clock, passwords, rateLimits, arrivals }) };
  }

  test("DESIGN §9: unknown user, no password, wrong password and disabled user: one answer, the same steps", async () => {
    await room.add("with");
    await room.add("without", { password: undefined });
    await room.users.disable((await room.add("disabled")).id, operator);
    const { steps, signIn } = counted();
    const runs: string[][] = [];
    for (const [username, password] of [
      ["unknown", "correct horse"],
      ["unknown@example.com", "correct horse"],
      ["not a name", "correct horse"],
      ["without", "correct horse"],
      ["with", "wrong horse"],
      ["with", "x".repeat(100_000)],
      ["disabled", "correct horse"],
      ["disabled", "wrong horse"],
    ] as const) {
      steps.length = 0;
      const result = await signIn({ username, password, clientId: "app", ip: newAddress() });
      assert.deepEqual(result, { outcome: "invalid_credentials" });
      runs.push(steps.map((step) => step.replace("u.email_key", "u.username_key")));
    }
    assert.equal(runs[0]?.filter((step) => step === "verification").length, 1);
    for (const run of runs) assert.deepEqual(run, runs[0]);
  });

  test("is audited with the user if there is one, and never with what was typed", async () => {
    const { id } = await room.add("watched");
    await signIn("watched", "typed-secret-1");
    await signIn("typed-secret-2", "typed-secret-3");
    const [second, first] = await room.events();
    assert.deepEqual(
      [first?.type, first?.userId, first?.detail],
      ["sign_in.failed", id, { reason: "wrong_password" }],
    );
    assert.deepEqual(
      [second?.type, second?.userId, second?.detail],
      ["sign_in.failed", undefined, { reason: "unknown_user" }],
    );
    for (const table of ["audit_events", "rate_limits"]) {
      const everything = await room.database.all({
        sql: `SELECT * FROM ${table}`,
        text: `SELECT * FROM ${table}`,
        values: [],
      } as never);
      assert.ok(
        !JSON.stringify(everything, (_, value) =>
          value?.type === "Buffer" ? Buffer.from(value.data).toString("latin1") : value,
        ).includes("typed-secret"),
      );
    }
  });
});
