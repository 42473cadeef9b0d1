import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startTestServer, type TestServer } from "../test-server.ts";

const by = { actor: "operator" } as const;
const nobody = "01920000-0000-7000-8000-000000000000";

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.close());

let names = 0;
const fresh = (word: string) => `${word}-${++names}`;

async function signedIn() {
  const user = await server.addUser(fresh("user"));
  return { user, tokens: await server.login(user.username) };
}

/** What a token of the session says that is minted now. */
async function rightsOf(refreshToken: string) {
  const reply = await server.call("/refresh", { json: { refreshToken } });
  assert.equal(reply.status, 200, reply.text);
  const verified = await server.app.guard.verify(reply.json.accessToken as string);
  assert.ok(verified.ok, JSON.stringify(verified));
  const { roles, permissions } = verified.identity;
  return { roles, permissions, next: reply.json.refreshToken as string };
}

describe("roles as things of their own", () => {
  test("a role is added, found, listed, changed and removed; each act is one event of the audit log", async () => {
    const name = fresh("editor");
    const { roles, audit } = server.app;
    const added = await roles.add(
      { name, description: " Edits ", permissions: ["b:x", "a:x@orders", "b:x"] },
      by,
    );
    assert.ok(added.outcome === "added");
    assert.deepEqual(added.role.permissions, [
      { permission: "a:x", resource: "orders" },
      { permission: "b:x", resource: undefined },
    ]);
    assert.deepEqual(await roles.find(name), { role: added.role, users: 0 });
    assert.ok((await roles.list({ rows: 1000 })).some((role) => role.name === name));
    assert.equal((await roles.add({ name }, by)).outcome, "role_taken");
    const changed = await roles.update(name, { permissions: ["b:x", "c:x"] }, by);
    assert.ok(changed.outcome === "changed");
    assert.equal(changed.role.description, "Edits");
    assert.equal((await roles.update(name, { permissions: ["c:x", "b:x"] }, by)).outcome, "unchanged");
    const undescribed = await roles.update(name, { description: "" }, by);
    assert.deepEqual(undescribed.outcome === "changed" && undescribed.role.description, undefined);
    assert.deepEqual(await roles.remove(name, by), { outcome: "removed", users: 0 });
    assert.deepEqual(await roles.remove(name, by), { outcome: "unknown_role" });
    assert.equal(await roles.find(name), undefined);
    const events = (await audit.list({})).filter(({ detail }) => detail?.role === name).reverse();
    assert.deepEqual(
      events.map(({ type, actor, detail }) => [type, actor, detail?.permissions ?? detail?.added]),
      [
        ["role.added", "operator", "a:x@orders b:x"],
        ["role.changed", "operator", "c:x"],
        ["role.changed", "operator", undefined],
        ["role.removed", "operator", undefined],
      ],
    );
  });

  test("of 20 that add one role at once, one does", async () => {
    const name = fresh("race");
    const all = await Promise.all(Array.from({ length: 20 }, () => server.app.roles.add({ name }, by)));
    assert.equal(all.filter(({ outcome }) => outcome === "added").length, 1);
  });

  test("names, permissions, resources and descriptions have their bounds", async () => {
    const name = fresh("bounded");
    const { roles } = server.app;
    const wrong: [string, object][] = [
      ...["", " ", "a b", "é", "-a", "a@b", "x".repeat(65), "\0"].map(
        (role) => ["role", { name: role }] as [string, object],
      ),
      ...["", "a b", "a@", "@b", "a@b c", "a@é", "*", "x".repeat(65), `a@${"x".repeat(501)}`, "a\n"].map(
        (permission) => ["permissions", { name, permissions: [permission] }] as [string, object],
      ),
      ["permissions", { name, permissions: Array.from({ length: 101 }, (_, i) => `p${i}`) }],
      ["description", { name, description: "x".repeat(201) }],
      ["description", { name, description: "a\nb" }],
      ["description", { name, description: "\ud800" }],
    ];
    const rows = await server.rows();
    for (const [field, input] of wrong) {
      const added = await roles.add(input as { name: string }, by);
      assert.deepEqual(
        [added.outcome, "field" in added && added.field],
        ["invalid", field],
        JSON.stringify(input),
      );
    }
    assert.equal(await server.rows(), rows);
    const most = await roles.add({ name, permissions: Array.from({ length: 100 }, (_, i) => `p${i}`) }, by);
    assert.equal(most.outcome, "added");
    assert.equal((await roles.update("no such role!", {}, by)).outcome, "unknown_role");
    assert.equal((await roles.update(fresh("missing"), { permissions: [] }, by)).outcome, "unknown_role");
  });

  test("removing a role takes it from whoever has it", async () => {
    const name = fresh("gone");
    const { roles, users } = server.app;
    await roles.add({ name, permissions: ["x"] }, by);
    const { user, tokens } = await signedIn();
    await users.setRoles(user.id, [name, "other"], by);
    assert.deepEqual(await roles.remove(name, by), { outcome: "removed", users: 1 });
    assert.deepEqual((await users.findById(user.id))?.roles, ["other"]);
    const rights = await rightsOf(tokens.refreshToken);
    assert.deepEqual([rights.roles, rights.permissions], [["other"], []]);
  });
});

describe("which roles a user has", () => {
  test("granted and revoked, everywhere or at one resource; what changes nothing leaves no event", async () => {
    const { grants, users, audit } = server.app;
    const user = await server.addUser(fresh("user"), { roles: ["z"] });
    assert.deepEqual(await grants.grant(user.id, { role: "a" }, by), { outcome: "changed" });
    assert.deepEqual(await grants.grant(user.id, { role: "a" }, by), { outcome: "unchanged" });
    assert.deepEqual(await grants.grant(user.id, { role: "a", resource: "orders" }, by), {
      outcome: "changed",
    });
    const found = await users.findById(user.id);
    assert.deepEqual([found?.roles, found?.resourceRoles], [["a", "z"], ["a@orders"]]);
    assert.deepEqual(await users.setRoles(user.id, ["b"], by), { outcome: "changed", roles: ["b"] });
    assert.deepEqual((await users.findById(user.id))?.resourceRoles, ["a@orders"], "stays");
    assert.deepEqual(await grants.revoke(user.id, { role: "b", resource: "orders" }, by), {
      outcome: "unchanged",
    });
    assert.deepEqual(await grants.revoke(user.id, { role: "a", resource: "orders" }, by), {
      outcome: "changed",
    });
    const events = (await audit.list({ userId: user.id })).reverse().slice(1);
    assert.deepEqual(
      events.map(({ type, detail }) => [type, detail?.roles]),
      [
        ["user.roles_changed", "a z"],
        ["user.roles_changed", "a a@orders z"],
        ["user.roles_changed", "a@orders b"],
        ["user.roles_changed", "b"],
      ],
    );
  });

  test("at most 50, all resources together; never to a user who is not there", async () => {
    const { grants, users } = server.app;
    const user = await server.addUser(fresh("user"));
    await users.setRoles(
      user.id,
      Array.from({ length: 49 }, (_, i) => `r${i}`),
      by,
    );
    assert.equal((await grants.grant(user.id, { role: "r0", resource: "x" }, by)).outcome, "changed");
    assert.equal((await grants.grant(user.id, { role: "r0", resource: "y" }, by)).outcome, "too_many_roles");
    const many = Array.from({ length: 50 }, (_, i) => `r${i}`);
    assert.equal((await users.setRoles(user.id, many, by)).outcome, "invalid");
    assert.equal((await grants.grant(nobody, { role: "a" }, by)).outcome, "unknown_user");
    assert.equal((await grants.grant("nonsense", { role: "a" }, by)).outcome, "unknown_user");
    assert.equal((await users.setRoles(nobody, [], by)).outcome, "unknown_user");
    assert.equal((await grants.grant(user.id, { role: "a b" }, by)).outcome, "invalid");
    assert.equal((await grants.grant(user.id, { role: "a", resource: "a b" }, by)).outcome, "invalid");
  });

  test("20 grants to one user at once: all are there", async () => {
    const user = await server.addUser(fresh("user"));
    const wanted = Array.from({ length: 20 }, (_, i) => `r${String(i).padStart(2, "0")}`);
    await Promise.all(wanted.map((role) => server.app.grants.grant(user.id, { role }, by)));
    assert.deepEqual((await server.app.users.findById(user.id))?.roles, wanted);
  });
});

describe("what a token says", () => {
  test("the roles and permissions that count everywhere, and those of the audience; of no other resource", async () => {
    const { roles, grants } = server.app;
    const [here, elsewhere] = [server.app.settings.audience, "another-api"];
    const [one, two, other] = [fresh("one"), fresh("two"), fresh("other")];
    await roles.add({ name: one, permissions: ["read", `write@${here}`, `drop@${elsewhere}`] }, by);
    await roles.add({ name: two, permissions: ["read", "b"] }, by);
    await roles.add({ name: other, permissions: ["never"] }, by);
    const { user, tokens } = await signedIn();
    await grants.grant(user.id, { role: one }, by);
    await grants.grant(user.id, { role: two, resource: here }, by);
    await grants.grant(user.id, { role: two }, by);
    const rights = await rightsOf(tokens.refreshToken);
    assert.deepEqual(
      [rights.roles, rights.permissions],
      [
        [one, two],
        ["b", "read", "write"],
      ],
    );
    await grants.grant(user.id, { role: other, resource: elsewhere }, by);
    await grants.revoke(user.id, { role: one }, by);
    await grants.grant(user.id, { role: "a-mere-word" }, by);
    const after = await rightsOf(rights.next);
    assert.deepEqual(
      [after.roles, after.permissions],
      [
        ["a-mere-word", two],
        ["b", "read"],
      ],
    );
    const again = await server.login(user.username);
    const verified = await server.app.guard.verify(again.accessToken);
    assert.deepEqual(verified.ok && verified.identity.permissions, ["b", "read"], "at sign-in too");
  });

  test("a word that users have becomes a role with permissions when it is defined", async () => {
    const name = fresh("word");
    const { user, tokens } = await signedIn();
    await server.app.users.setRoles(user.id, [name], by);
    const before = await rightsOf(tokens.refreshToken);
    assert.deepEqual([before.roles, before.permissions], [[name], []]);
    await server.app.roles.add({ name, permissions: ["p"] }, by);
    assert.deepEqual((await rightsOf(before.next)).permissions, ["p"]);
  });
});
