import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startTestServer, type TestServer } from "../../test-server.ts";
import { addPasskey, addTotp } from "../../users/factors/test-factors.ts";
import { removeFactors, showFactors } from "./factors.ts";

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.close());

test("a lost device: the operator sees the factors, takes them away, and the user's sessions end; all of it is told", async () => {
  const user = await server.addUser("alice");
  await addTotp(server, user);
  await addPasskey(server, user);
  const shown = await showFactors(server.app, "alice");
  assert.ok(shown.outcome === "found");
  assert.deepEqual([shown.owned.totp, shown.owned.passkeys.length, shown.owned.recoveryCodes], [true, 1, 10]);
  const kept = await removeFactors(server.app, { name: "alice", kind: "passkeys", keepSessions: true });
  assert.ok(kept.outcome === "removed" && kept.ended === 0);
  assert.equal((await server.app.factors.ownedBy(user.id)).recoveryCodes, 10, "the app is still there");
  const removed = await removeFactors(server.app, { name: "alice", kind: "all" });
  assert.ok(removed.outcome === "removed" && removed.ended > 0);
  assert.equal((await server.app.factors.ownedBy(user.id)).recoveryCodes, 0);
  const again = await removeFactors(server.app, { name: "alice", kind: "all" });
  assert.equal(again.outcome, "unchanged");
  assert.equal((await removeFactors(server.app, { name: "nobody", kind: "all" })).outcome, "unknown_user");
  const told = (await server.app.audit.list({ userId: user.id })).filter(({ actor }) => actor === "operator");
  assert.deepEqual(
    told.map(({ type }) => type),
    ["session.ended", "totp.removed", "passkey.removed", "user.added"],
  );
  await server.login("alice");
});
