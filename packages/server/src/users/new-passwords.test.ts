import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hashSync as bcryptHash } from "@node-rs/bcrypt";
import type { Id } from "../primitives/id.ts";
import { createNewPasswords } from "./new-passwords.ts";
import { openUsers, operator, type TestUsers } from "./test-users.ts";
import { createUsers, type Users } from "./users.ts";

const COMMON = "Password123";
const STOLEN = "a stolen horse";

let room: TestUsers;
/** Users of a server that asks somebody else too. */
let asking: Users;
let asked: string[] = [];

before(async () => {
  room = await openUsers();
  const newPasswords = createNewPasswords({
    settings: { passwordCharactersMin: 8, siteName: "Keyturn", issuer: "https://id.example" },
    common: { has: async (password) => password === COMMON },
    isBreached: async (password) => {
      asked.push(password);
      return password === STOLEN;
    },
  });
  asking = createUsers({ ...room.dependencies, newPasswords });
});
after(() => room?.close());

async function sessionOf(userId: Id) {
  const started = await room.sessions.start({ userId, clientId: "app", kind: "app", scope: "", amr: [] });
  assert.ok(started);
  return started.session;
}

const canSignIn = async (username: string, password: string) =>
  (await room.signIn({ username, password, clientId: "app" })).outcome === "signed_in";

/** Every way to set a password, for a user of its own. */
const doors: Record<string, (users: Users, password: string, name: string) => Promise<unknown>> = {
  "an operator's new user": (users, password, username) => users.add({ username, password }, operator),
  registration: (users, password, username) => users.register({ username, password }, {}),
  "an operator's change": async (users, password, username) => {
    const { id } = await room.add(username);
    return users.setPassword(id, { password, endSessions: false }, operator);
  },
  "a user's own change": async (users, password, username) => {
    const { id } = await room.add(username);
    return users.changePassword({
      session: await sessionOf(id),
      current: "correct horse",
      password,
      endOthers: false,
    });
  },
  "a first password": async (users, password, username) => {
    const added = await room.users.add({ username }, operator);
    assert.ok(added.outcome === "added");
    return users.setFirstPassword(added.user.id, password, { actor: "user" });
  },
};

let names = 0;
for (const [door, set] of Object.entries(doors)) {
  describe(door, () => {
    const name = () => `chooser${++names}`;
    const refused = async (users: Users, password: string, says: RegExp) => {
      const username = name();
      const result = (await set(users, password, username)) as {
        outcome: string;
        field: string;
        problem: string;
      };
      assert.equal(result.outcome, "invalid");
      assert.equal(result.field, "password");
      assert.match(result.problem, says);
      assert.equal(await canSignIn(username, password), false);
    };

    test("NIST SP 800-63B-4 §3.1.1.2: refuses a common password and says why, without asking anybody", async () => {
      asked = [];
      await refused(asking, COMMON, /guessed first/);
      await refused(room.users, "qwerty123", /guessed first/);
      assert.deepEqual(asked, []);
    });

    test("refuses a stolen password where somebody else knows of it, and is told in form NFC", async () => {
      asked = [];
      await refused(asking, STOLEN, /stolen from some other site/);
      assert.deepEqual(asked, [STOLEN]);
      const result = (await set(asking, "cafe\u0301 and horse", name())) as { outcome: string };
      assert.notEqual(result.outcome, "invalid");
      assert.equal(asked[1], "caf\u00e9 and horse");
    });

    test("refuses the name and the address of this site, and what is no text", async () => {
      await refused(asking, "id.example", /address of this site/);
      await refused(asking, "\ud83d".repeat(9), /not valid Unicode/);
      await refused(asking, "x".repeat(1_000_000), /at most 1024 bytes/);
    });
  });
}

test("nobody is asked about a password past the limits: on accounts of an address, on guesses of the current one", async () => {
  const from = { ip: "192.0.2.77" };
  const register = (i: number) => asking.register({ username: `many${i}`, password: STOLEN }, from);
  asked = [];
  const outcomes = await Promise.all(Array.from({ length: 30 }, (_, i) => register(i)));
  assert.equal(outcomes.filter(({ outcome }) => outcome === "too_many_attempts").length, 10);
  assert.equal(asked.length, 20);
  asked = [];
  const { id } = await room.add("guessed");
  const session = await sessionOf(id);
  const change = { session, current: "wrong", password: STOLEN, endOthers: false };
  assert.equal((await asking.changePassword(change)).outcome, "wrong_password");
  assert.deepEqual(asked, []);
});

test("whoever has a common or a short password already signs in with it", async () => {
  for (const [username, password] of [
    ["early", COMMON],
    ["brief", "short"],
  ] as const) {
    const passwordHash = bcryptHash(password, { cost: 4 });
    assert.equal((await asking.add({ username, passwordHash }, operator)).outcome, "added");
    // The hash is replaced by an Argon2id one meanwhile: that is no new password.
    assert.equal(await canSignIn(username, password), true);
    assert.equal(await canSignIn(username, password), true);
  }
});
