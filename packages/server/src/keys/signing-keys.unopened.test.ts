import assert from "node:assert/strict";
import { test } from "node:test";
import sql from "sql-template-tag";
import { WrongSetting } from "../config.ts";
import { createSecrets } from "./secrets.ts";
import { count, DAY, first, openHouse, READY, second, started } from "./test-signing-keys.ts";

/** Keys that a node cannot open, or that are damaged: what starts all the same, what does not, and what nobody is shown. */

test("a wrong master secret stops the start with one line that names the setting, and changes nothing", async (t) => {
  const house = await openHouse(t);
  await started(house);
  const stranger = house.node({ secrets: createSecrets([second]), algorithm: "EdDSA" });
  const dump = () => house.test.database.all(sql`SELECT * FROM signing_keys ORDER BY id`);
  const before = await dump();
  const refused = (error: unknown) =>
    error instanceof WrongSetting && /^KEYTURN_SECRET: [^\n]+$/.test(error.message);
  await assert.rejects(stranger.start(), refused);
  await assert.rejects(stranger.rotate({ now: true }), refused);
  assert.deepEqual(await dump(), before);
});

test("a changed master secret: the keys are closed again under the new one, and the old can go", async (t) => {
  const house = await openHouse(t);
  const id = (await started(house)).current("ES256").id;
  await started(house, { secrets: createSecrets([second, first]) });
  const keys = await started(house, { secrets: createSecrets([second]) });
  assert.equal(keys.current("ES256").id, id);
  const outcomes = await keys.rotate({ now: true });
  assert.equal(outcomes[0]?.outcome, "rotated");
});

test("a node that cannot open the new key goes on with the one it has, which stays published", async (t) => {
  const house = await openHouse(t);
  const behind = await started(house);
  const id = behind.current("ES256").id;
  const ahead = await started(house, { secrets: createSecrets([second, first]) });
  await ahead.rotate({ now: true });
  await behind.tick();
  assert.equal(behind.current("ES256").id, id);
  assert.ok(ahead.jwks().keys.some((jwk) => jwk.kid === id));
  assert.ok(house.logged.some((line) => line.startsWith("KEYTURN_SECRET")));
});

test("a damaged current key stops the start; rotating at once replaces it", async (t) => {
  const house = await openHouse(t);
  await started(house);
  await house.test.database.batch([
    sql`UPDATE signing_keys SET sealed_private_key = ${Buffer.alloc(100)} WHERE state = 'current'`,
  ]);
  await assert.rejects(house.node().start(), /keyturn key rotate --now/);
  const [outcome] = await house.node().rotate({ now: true });
  assert.equal(outcome?.outcome, "rotated");
  await started(house);
});

test("a damaged next key is reported, never signs, and is replaced by a rotation", async (t) => {
  const house = await openHouse(t);
  await started(house);
  const { database } = house.test;
  await database.batch([
    sql`UPDATE signing_keys SET sealed_private_key = ${Buffer.alloc(100)} WHERE state = 'next'`,
  ]);
  const keys = await started(house);
  assert.ok(house.logged.some((line) => line.includes("next signing key")));
  house.clock.time += READY;
  assert.equal((await keys.rotate())[0]?.outcome, "not_ready");
  house.clock.time += READY;
  assert.equal((await keys.rotate())[0]?.outcome, "rotated");
  const records = await keys.list();
  assert.deepEqual(
    ["current", "next", "retiring", "retired"].map((state) => count(records, state)),
    [1, 1, 1, 1],
  );
});

test("rotate --now goes past a damaged next key to a fresh one", async (t) => {
  const house = await openHouse(t);
  const keys = await started(house);
  const before = keys.current("ES256").id;
  const damaged = sql`UPDATE signing_keys SET sealed_private_key = ${Buffer.alloc(100)} WHERE state = 'next'`;
  await house.test.database.batch([damaged]);
  const [outcome] = await keys.rotate({ now: true });
  assert.ok(outcome?.outcome === "rotated");
  assert.deepEqual([outcome.from, outcome.to], [before, keys.current("ES256").id]);
});

test("a damaged public half of a retiring key is not published, and the rest is", async (t) => {
  const house = await openHouse(t);
  const keys = await started(house);
  const old = keys.current("ES256").id;
  await keys.rotate({ now: true });
  await house.test.database.batch([sql`UPDATE signing_keys SET public_jwk = ${"{"} WHERE id = ${old}`]);
  const again = await started(house);
  assert.equal(again.jwks().keys.length, 2);
  assert.ok(house.logged.some((line) => line.includes(old)));
});

test("no log line shows a private key or a master secret", async (t) => {
  const house = await openHouse(t);
  const keys = await started(house);
  house.clock.time += 90 * DAY;
  await keys.tick();
  await assert.rejects(house.node({ secrets: createSecrets([second]) }).start());
  const d = String(keys.current("ES256").privateKey.export({ format: "jwk" }).d);
  const lines = house.logged.join("\n");
  assert.ok(lines.length > 0);
  for (const secret of [d, first.toString("base64url"), first.toString("hex")])
    assert.ok(!lines.includes(secret));
});
