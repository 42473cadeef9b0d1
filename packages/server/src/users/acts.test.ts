import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createIdentities } from "./identities.ts";
import { createSignIn } from "./sign-in.ts";
import { openUsers, operator, type TestUsers } from "./test-users.ts";
import { createUsers } from "./users.ts";

// The clock of these tests stands: a fast machine does two things in one millisecond.
let room: TestUsers;
before(async () => {
  room = await openUsers({ tick: 0 });
});
after(() => room?.close());

const byUser = { actor: "user" } as const;

const countOf = async (userId: string, type: string): Promise<number> =>
  (await room.eventsOf(userId)).filter((event) => event.type === type).length;

test("who was disabled in the same millisecond is given no other way in", async () => {
  const { id } = await room.add("linked");
  const identities = createIdentities(room.dependencies);
  const identity = { issuer: "https://idp.example", subject: "1", providerId: "corp", label: undefined };
  assert.equal(await room.users.disable(id, operator), "done");
  assert.equal(await identities.link(id, identity, byUser), "unknown_user");
  assert.deepEqual(await identities.list(id), []);
  assert.equal(await countOf(id, "identity.linked"), 0);
});

test("an act that finds nothing to do in the same millisecond leaves no event", async () => {
  const { id } = await room.add("switched");
  assert.equal(await room.users.disable(id, operator), "done");
  assert.equal(await room.users.disable(id, operator), "unchanged");
  assert.equal(await room.users.enable(id, operator), "done");
  assert.equal(await room.users.enable(id, operator), "unchanged");
  assert.equal(await countOf(id, "user.disabled"), 1);
  assert.equal(await countOf(id, "user.enabled"), 1);
});

test("of two changes of a password that one proof allows, in the same millisecond, one is made", async () => {
  const { id } = await room.add("changing");
  const change = async (password: string) =>
    room.users.changePassword({
      session: await room.startSession(id),
      current: "correct horse",
      password,
      endOthers: false,
      ip: undefined,
    });
  const ended = await Promise.all([change("another horse 1"), change("another horse 2")]);
  assert.deepEqual(ended.map(({ outcome }) => outcome).sort(), ["changed", "wrong_password"]);
  assert.equal(await countOf(id, "password.changed"), 1);
});

test("a password that was set in the millisecond of the one before is another one", async () => {
  const { id } = await room.add("set");
  const late = room.whileVerified(async () => {
    const set = { password: "another horse", endSessions: true };
    assert.equal((await room.users.setPassword(id, set, operator)).outcome, "changed");
  });
  const signedIn = await createSignIn(late)({ username: "set", password: "correct horse", clientId: "app" });
  assert.deepEqual(signedIn, { outcome: "invalid_credentials" });
  const session = await room.startSession(id);
  const change = {
    session,
    current: "another horse",
    password: "a third horse",
    endOthers: false,
    ip: undefined,
  };
  assert.deepEqual(await createUsers(late).changePassword(change), { outcome: "wrong_password" });
});
