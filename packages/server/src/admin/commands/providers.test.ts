import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { idToBytes, newId } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import { createProviders } from "../../providers/providers.ts";
import { anyway, insertPasskey } from "../../users/factors/factors.sql.ts";
import { addProvider, disableProvider, enableProvider, removeProvider, showProvider } from "./providers.ts";
import { openTestRooms, type TestRooms } from "./test-rooms.ts";

let rooms: TestRooms;
before(async () => {
  rooms = await openTestRooms();
});
after(() => rooms.close());

const corp = {
  preset: "oidc",
  issuer: "https://login.corp.example",
  clientId: "keyturn",
  secret: "s3cret",
} as const;
const byUser = { actor: "user" } as const;

test("each act on a provider is told once, and what changes nothing is not told", async () => {
  const acts = [addProvider, disableProvider, enableProvider, removeProvider];
  await addProvider(rooms, { ...corp, id: "told" });
  await addProvider(rooms, { ...corp, id: "told" });
  for (const act of acts.slice(1) as (typeof disableProvider)[]) {
    await act(rooms, "told");
    await act(rooms, "told");
  }
  const events = (await rooms.audit.list({})).reverse();
  assert.deepEqual(
    events.map(({ type, actor, detail }) => [type, actor, detail?.provider]),
    ["added", "disabled", "enabled", "removed"].map((what) => [`provider.${what}`, "operator", "told"]),
  );
});

test("of twenty additions under one id at once, one is made and told", async () => {
  const all = await Promise.all(
    Array.from({ length: 20 }, () => addProvider(rooms, { ...corp, id: "race" })),
  );
  assert.equal(all.filter(({ outcome }) => outcome === "added").length, 1);
  const events = await rooms.audit.list({});
  assert.equal(
    events.filter(({ type, detail }) => type === "provider.added" && detail?.provider === "race").length,
    1,
  );
  await removeProvider(rooms, "race");
});

test("there are never more providers than there may be", async () => {
  for (let count = 0; count < limits.providersMax; count++)
    await addProvider(rooms, { ...corp, id: `p${count}` });
  assert.equal((await addProvider(rooms, { ...corp, id: "one-more" })).outcome, "too_many");
  assert.equal(rooms.providers.offered().length, limits.providersMax);
  for (let count = 0; count < limits.providersMax; count++) await removeProvider(rooms, `p${count}`);
});

test("a secret is sealed in the database, and opens for its own provider only", async () => {
  await addProvider(rooms, { ...corp, id: "one", secret: "the-secret-of-one" });
  const opened = await rooms.providers.open("one");
  assert.ok(opened !== undefined && opened !== "sealed");
  assert.equal(opened.secret, "the-secret-of-one");
  const secrets = { seal: () => Buffer.alloc(0), unseal: () => undefined };
  const { database, clock } = rooms;
  const without = createProviders({ database, clock, secrets });
  assert.equal(await without.open("one"), "sealed", "the master secret was changed");
  await removeProvider(rooms, "one");
});

test("before a provider goes, it is known for whom it is the only way in", async () => {
  await addProvider(rooms, { ...corp, id: "corp" });
  await addProvider(rooms, { ...corp, id: "other", issuer: "https://other.example" });
  const identityOf = (subject: string, providerId = "corp") => ({
    issuer: providerId,
    subject,
    providerId,
    label: undefined,
  });
  const signUp = async (wish: string) => {
    const newcomer = {
      identity: identityOf(wish),
      wish,
      name: undefined,
      email: undefined,
      emailVerified: false,
    };
    const made = await rooms.identities.signUp(newcomer, byUser);
    assert.ok(made.outcome === "signed_up");
    return made.user;
  };
  await signUp("alone");
  const both = await signUp("both");
  await rooms.identities.link(both.id, identityOf("both", "other"), byUser);
  const added = await rooms.users.add({ username: "password", password: "correct horse" }, byUser);
  assert.ok(added.outcome === "added");
  await rooms.identities.link(added.user.id, identityOf("password"), byUser);
  const keyed = await signUp("keyed");
  const passkey = {
    credential_id: Buffer.from("keyed"),
    public_key: Buffer.alloc(0),
    counter: 0,
    transports: "",
  };
  const made = { backup_eligible: 0, backed_up: 0, name: "", created_at: 0, used_at: null };
  const ids = { id: idToBytes(newId(0)), user_id: idToBytes(keyed.id) };
  await rooms.database.batch([insertPasskey({ ...ids, ...passkey, ...made }, anyway)]);
  const used = async () => {
    const shown = await showProvider(rooms, "corp");
    return shown.outcome === "found" ? shown.use : undefined;
  };
  assert.deepEqual(await used(), { accounts: 4, onlyWay: 1 }, "a passkey is a way in");
  await disableProvider(rooms, "other");
  assert.deepEqual(await used(), { accounts: 4, onlyWay: 2 }, "a disabled provider is no way in");
  const [identity] = await rooms.identities.list(both.id);
  assert.equal(await rooms.identities.unlink(both.id, identity?.id ?? "", byUser), "last_way_in");
  // Removed and added again: everybody is who they were.
  await removeProvider(rooms, "corp");
  await addProvider(rooms, { ...corp, id: "corp" });
  assert.deepEqual(await used(), { accounts: 4, onlyWay: 2 });
});

test("an account has no more identities than it may have, and none that is another's", async () => {
  const added = await rooms.users.add({ username: "many" }, byUser);
  assert.ok(added.outcome === "added");
  const { id } = added.user;
  const link = (subject: string, userId = id) =>
    rooms.identities.link(userId, { issuer: "many", subject, providerId: "corp", label: undefined }, byUser);
  for (let count = 0; count < limits.identitiesPerUserMax; count++)
    assert.equal(await link(`${count}`), "linked");
  assert.equal(await link("0"), "already_linked");
  assert.equal(await link("one more"), "too_many");
  const other = await rooms.users.add({ username: "other" }, byUser);
  assert.ok(other.outcome === "added");
  assert.equal(await link("0", other.user.id), "taken");
  await rooms.users.disable(other.user.id, byUser);
  assert.equal(await link("mine", other.user.id), "unknown_user");
  const [first] = await rooms.identities.list(id);
  assert.equal(await rooms.identities.unlink(other.user.id, first?.id ?? "", byUser), "unknown_identity");
  assert.equal(await rooms.identities.unlink(id, "no id", byUser), "unknown_identity");
  await rooms.users.remove(id, byUser);
  assert.equal(await rooms.identities.find({ issuer: "many", subject: "0" }), undefined);
});
