import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hashSync as bcryptHash } from "@node-rs/bcrypt";
import sql from "sql-template-tag";
import { newId } from "../primitives/id.ts";
import { createSignIn } from "./sign-in.ts";
import { openUsers, operator, type TestUsers } from "./test-users.ts";
import { upgradeHash } from "./users.sql.ts";

let room: TestUsers;
before(async () => {
  room = await openUsers();
});
after(() => room?.close());

const nobody = "018f0000-0000-7000-8000-0123456789ab";
const typesOf = async (userId: string) => (await room.eventsOf(userId)).map(({ type }) => type);

const alive = async (userId: string) => (await room.sessions.list({ userId, alive: true })).length;

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
    await room.startSession(id);
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
    await room.startSession(id);
    await room.startSession(id);
    await room.startSession(bystander.id);
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
    await room.startSession(id);
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

  test("no session outlives a disabling that raced with sign-ins", async () => {
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

  test("a password that was changed while it was being verified starts no session", async () => {
    const { id } = await room.add("olga");
    const changed = room.whileVerified(async () => {
      const change = { password: "another horse", endSessions: true };
      assert.equal((await room.users.setPassword(id, change, operator)).outcome, "changed");
    });
    const signIn = createSignIn(changed);
    const outcome = await signIn({ username: "olga", password: "correct horse", clientId: "app" });
    assert.deepEqual(outcome, { outcome: "invalid_credentials" });
    assert.equal(await alive(id), 0);
  });

  test("a hash that another sign-in raised meanwhile signs nobody out", async () => {
    const { id } = await room.add("otto");
    const signIn = createSignIn({
      ...room.dependencies,
      passwords: {
        ...room.passwords,
        async verify(password, hash) {
          const verified = await room.passwords.verify(password, hash);
          const hashed = await room.passwords.hash(password);
          assert.equal(hashed.outcome, "hashed");
          if (hashed.outcome === "hashed")
            await room.database.batch([upgradeHash({ userId: id, from: hash, to: hashed.hash })]);
          return verified;
        },
      },
    });
    const outcome = await signIn({ username: "otto", password: "correct horse", clientId: "app" });
    assert.equal(outcome.outcome, "signed_in");
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
