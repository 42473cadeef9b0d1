import assert from "node:assert/strict";
import { test } from "node:test";
import { addFirstAdmin } from "./first-admin.ts";
import { randomPassword } from "./random-password.ts";
import { openTestRooms, type TestRooms } from "./test-rooms.ts";
import {
  addUser,
  disableUser,
  enableUser,
  listUsers,
  removeUser,
  setUserPassword,
  setUserRoles,
  showUser,
} from "./users.ts";

async function withRooms(work: (rooms: TestRooms) => Promise<void>) {
  const rooms = await openTestRooms();
  try {
    await work(rooms);
  } finally {
    await rooms.close();
  }
}

const signIn = (rooms: TestRooms, password: string) =>
  rooms.signIn({ username: "alice", password, clientId: "keyturn", ip: "192.0.2.1" });

test("a user without a password gets a random one, which signs in; a given one is not told back", () =>
  withRooms(async (rooms) => {
    const added = await addUser(rooms, { username: "alice", email: "alice@example.com", roles: ["editor"] });
    assert.ok(added.outcome === "added" && added.password !== undefined);
    assert.equal((await signIn(rooms, added.password)).outcome, "signed_in");
    const other = await addUser(rooms, { username: "bob", password: "correct horse" });
    assert.ok(other.outcome === "added" && other.password === undefined);
    assert.equal((await addUser(rooms, { username: "ALICE" })).outcome, "username_taken");
    assert.equal(
      (await addUser(rooms, { username: "eve", email: "alice@example.com" })).outcome,
      "email_taken",
    );
    assert.equal((await addUser(rooms, { username: "a b" })).outcome, "invalid");
  }));

test("a new password ends the user's sessions unless they are kept", () =>
  withRooms(async (rooms) => {
    await addUser(rooms, { username: "alice", password: "correct horse" });
    await signIn(rooms, "correct horse");
    const kept = await setUserPassword(rooms, {
      name: "alice",
      password: "horse battery",
      keepSessions: true,
    });
    assert.equal(kept.outcome, "changed");
    const alive = async () => {
      const shown = await showUser(rooms, "alice");
      return shown.outcome === "found" ? shown.sessions.length : -1;
    };
    assert.equal(await alive(), 1);
    const made = await setUserPassword(rooms, { name: "alice" });
    assert.ok(made.outcome === "changed" && made.password !== undefined);
    assert.equal(await alive(), 0);
    assert.equal((await signIn(rooms, made.password)).outcome, "signed_in");
    assert.equal((await setUserPassword(rooms, { name: "alice", password: "short" })).outcome, "invalid");
    assert.equal((await setUserPassword(rooms, { name: "nobody" })).outcome, "unknown_user");
  }));

test("disable, enable and remove say whether they changed anything", () =>
  withRooms(async (rooms) => {
    await addUser(rooms, { username: "alice", password: "correct horse" });
    assert.equal((await disableUser(rooms, "alice")).outcome, "done");
    assert.equal((await disableUser(rooms, "alice")).outcome, "unchanged");
    assert.equal((await signIn(rooms, "correct horse")).outcome, "invalid_credentials");
    assert.equal((await enableUser(rooms, "alice")).outcome, "done");
    assert.equal((await signIn(rooms, "correct horse")).outcome, "signed_in");
    assert.equal((await removeUser(rooms, "alice")).outcome, "done");
    assert.equal((await removeUser(rooms, "alice")).outcome, "unknown_user");
  }));

test("roles take the place of those before; the act is the operator's in the audit log", () =>
  withRooms(async (rooms) => {
    const added = await addUser(rooms, { username: "alice", roles: ["a", "b"] });
    assert.equal(added.outcome, "added");
    const set = await setUserRoles(rooms, { name: "alice", roles: ["c"] });
    assert.ok(set.outcome === "changed");
    assert.deepEqual(set.roles, ["c"]);
    assert.equal((await setUserRoles(rooms, { name: "alice", roles: ["no spaces"] })).outcome, "invalid");
    const events = await rooms.audit.list({ userId: added.user.id });
    assert.deepEqual(
      events.map(({ type, actor }) => [type, actor]),
      [
        ["user.roles_changed", "operator"],
        ["user.added", "operator"],
      ],
    );
  }));

test("users come page by page, the newest first, none twice", () =>
  withRooms(async (rooms) => {
    for (const username of ["u1", "u2", "u3", "u4", "u5"]) {
      await rooms.users.add({ username }, { actor: "operator" });
    }
    const names: string[] = [];
    let from: string | undefined;
    for (let pages = 0; pages < 5; pages++) {
      const page = await listUsers(rooms, { rows: 2, from });
      names.push(...page.users.map(({ username }) => username));
      from = page.next;
      if (from === undefined) break;
    }
    assert.deepEqual(names, ["u5", "u4", "u3", "u2", "u1"]);
  }));

test("of many servers that start at once, one adds the first user; none does when there is a user", () =>
  withRooms(async (rooms) => {
    const admins = await Promise.all(Array.from({ length: 8 }, () => addFirstAdmin(rooms)));
    const [admin, ...others] = admins.filter((one) => one !== undefined);
    assert.ok(admin);
    assert.equal(others.length, 0);
    assert.deepEqual([admin.user.username, admin.user.roles], ["admin", ["admin"]]);
    const signed = await rooms.signIn({ username: "admin", password: admin.password, clientId: "keyturn" });
    assert.equal(signed.outcome, "signed_in");
    await removeUser(rooms, "admin");
    await addUser(rooms, { username: "alice" });
    assert.equal(await addFirstAdmin(rooms), undefined);
  }));

test("a random password has 20 letters and digits that nobody confuses", () => {
  const seen = new Set<string>();
  const letters = new Set<string>();
  for (let i = 0; i < 500; i++) {
    const password = randomPassword();
    assert.match(password, /^[a-kmnp-z2-9]{20}$/);
    seen.add(password);
    for (const letter of password) letters.add(letter);
  }
  assert.equal(seen.size, 500);
  assert.equal(letters.size, 32);
});
