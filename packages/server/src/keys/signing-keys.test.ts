import assert from "node:assert/strict";
import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { test } from "node:test";
import sql from "sql-template-tag";
import { signingAlgorithms } from "../config-schema.ts";
import { limits } from "../primitives/limits.ts";
import type { Database } from "../storage/database.ts";
import { signJwt } from "../tokens/jwt.ts";
import { type Jwks, publicJwk } from "./jwks.ts";
import { NODE_RELOAD_SECONDS, RETIRING_KEYS_MAX } from "./schedule.ts";
import {
  count,
  DAY,
  eventTypes,
  JWKS_CACHE,
  openHouse,
  READY,
  SECOND,
  START,
  secretsOfFirst,
  started,
} from "./test-signing-keys.ts";

test("the first start makes a current and a next key for ES256 and for access tokens", async (t) => {
  const house = await openHouse(t);
  const keys = await started(house, { algorithm: "EdDSA" });
  const records = await keys.list();
  for (const algorithm of ["ES256", "EdDSA"] as const) {
    const own = records.filter((record) => record.algorithm === algorithm);
    assert.deepEqual(own.map((record) => record.state).sort(), ["current", "next"]);
    assert.equal(keys.current(algorithm).id, own.find((record) => record.state === "current")?.id);
  }
  assert.equal(keys.jwks().keys.length, 4);
  assert.equal(
    (await eventTypes(house.test.database)).filter((type) => type === "system key.created").length,
    4,
  );
});

for (const algorithm of signingAlgorithms) {
  test(`${algorithm}: the key that signs is published under its id`, async (t) => {
    const house = await openHouse(t);
    const keys = await started(house, { algorithm });
    const key = keys.current(algorithm);
    assert.equal(key.algorithm, algorithm);
    const published = keys.jwks().keys.find((jwk) => jwk.kid === key.id);
    assert.deepEqual(published, publicJwk(createPublicKey(key.privateKey), algorithm));
  });
}

test("private keys are stored sealed, each for its own row", async (t) => {
  const house = await openHouse(t);
  await started(house);
  const rows = await house.test.database.all<{ id: string; sealed_private_key: Uint8Array }>(
    sql`SELECT id, sealed_private_key FROM signing_keys`,
  );
  assert.equal(rows.length, 2);
  for (const row of rows) {
    assert.ok(secretsOfFirst.unseal(row.sealed_private_key, `signing-key:${row.id}`));
    assert.equal(
      secretsOfFirst.unseal(row.sealed_private_key, `signing-key:${rows.find((r) => r !== row)?.id}`),
      undefined,
    );
  }
});

test("a second start finds the same keys, and the key set is the same on every node", async (t) => {
  const house = await openHouse(t);
  const [here, there] = [await started(house), await house.remoteNode()];
  await there.start();
  assert.equal(there.current("ES256").id, here.current("ES256").id);
  assert.equal(there.jwks().etag, here.jwks().etag);
  assert.equal(there.jwks().body, here.jwks().body);
  assert.equal((await here.list()).length, 2);
});

test("nodes that start together on an empty database agree on the keys", async (t) => {
  const house = await openHouse(t);
  const nodes = await Promise.all([house.remoteNode(), house.remoteNode(), house.remoteNode()]);
  await Promise.all(nodes.map((node) => node.start()));
  assert.equal(new Set(nodes.map((node) => node.current("ES256").id)).size, 1);
  assert.equal((await nodes[0]!.list()).length, 2);
  assert.equal((await eventTypes(house.test.database)).length, 3);
});

test("an algorithm that a client chooses gets its keys at its first use, the same ones on every node, once", async (t) => {
  const house = await openHouse(t);
  const nodes = await Promise.all([house.remoteNode(), house.remoteNode()]);
  await Promise.all(nodes.map((node) => node.start()));
  assert.throws(() => nodes[0]!.current("RS256"));
  await Promise.all([...nodes, ...nodes].map((node) => node.ensure("RS256")));
  assert.equal(new Set(nodes.map((node) => node.current("RS256").id)).size, 1);
  const id = nodes[0]!.current("RS256").id;
  assert.ok(nodes[1]!.jwks().keys.some(({ kid }) => kid === id));
  await nodes[0]!.ensure("RS256");
  assert.equal((await nodes[0]!.list()).length, 4);
});

test("rotation waits until verifiers know the next key", async (t) => {
  const house = await openHouse(t);
  const keys = await started(house);
  house.clock.time += READY - 1;
  const before = keys.current("ES256").id;
  assert.deepEqual(await keys.rotate(), [
    { outcome: "not_ready", algorithm: "ES256", readyAt: START + READY },
  ]);
  assert.equal(keys.current("ES256").id, before);
  house.clock.time += 1;
  const [outcome] = await keys.rotate();
  assert.equal(outcome?.outcome, "rotated");
});

test("rotation: next signs, current is retiring, a new next is published, and the audit log tells", async (t) => {
  const house = await openHouse(t);
  const keys = await started(house);
  const [current, next] = [
    keys.current("ES256").id,
    (await keys.list()).find((one) => one.state === "next")?.id,
  ];
  let changes = 0;
  const stop = keys.onChange(() => changes++);
  house.clock.time += READY;
  const [outcome] = await keys.rotate();
  assert.ok(outcome?.outcome === "rotated");
  assert.deepEqual([outcome.from, outcome.to], [current, next]);
  assert.equal(keys.current("ES256").id, next);
  assert.deepEqual(new Set(keys.jwks().keys.map((jwk) => jwk.kid)), new Set([current, next, outcome.next]));
  assert.equal(changes, 1);
  stop();
  const types = (await eventTypes(house.test.database)).filter((type) => type.startsWith("operator"));
  assert.deepEqual(types.sort(), ["operator key.created", "operator key.current", "operator key.retiring"]);
  await keys.rotate({ now: true });
  assert.equal(changes, 1);
});

test("a key that no longer signs has no private half in the database", async (t) => {
  const house = await openHouse(t);
  const keys = await started(house);
  const [outcome] = await keys.rotate({ now: true });
  assert.ok(outcome?.outcome === "rotated");
  const rows = await house.test.database.all<{ id: string }>(
    sql`SELECT id FROM signing_keys WHERE sealed_private_key IS NULL`,
  );
  assert.deepEqual(rows, [{ id: outcome.from }]);
});

test("rotate --now does not wait; one algorithm can be named; one that is not in use is refused", async (t) => {
  const house = await openHouse(t);
  const keys = await started(house, { algorithm: "EdDSA" });
  const es256 = keys.current("ES256").id;
  const outcomes = await keys.rotate({ now: true, algorithm: "EdDSA" });
  assert.deepEqual(
    outcomes.map((one) => [one.outcome, one.algorithm]),
    [["rotated", "EdDSA"]],
  );
  assert.equal(keys.current("ES256").id, es256);
  assert.deepEqual(await keys.rotate({ algorithm: "RS256" }), [
    { outcome: "not_in_use", algorithm: "RS256" },
  ]);
});

test("nodes and the command line that rotate at the same moment rotate once", async (t) => {
  const house = await openHouse(t);
  const [a, b] = [await house.remoteNode(), await house.remoteNode()];
  await a.start();
  await b.start();
  for (let round = 1; round <= 5; round++) {
    house.clock.time += READY;
    const outcomes = (await Promise.all([a.rotate(), b.rotate()])).flat();
    assert.equal(outcomes.filter((one) => one.outcome === "rotated").length, 1);
    await Promise.all([a.tick(), b.tick()]);
    assert.equal(a.current("ES256").id, b.current("ES256").id);
    const records = await a.list();
    assert.deepEqual(
      ["current", "next", "retiring"].map((state) => count(records, state)),
      [1, 1, round],
    );
  }
  const types = await eventTypes(house.test.database);
  assert.equal(types.filter((type) => type === "operator key.current").length, 5);
});

/** A verifier of its own: it fetches the key set when its copy is older than the cache life, and at no other time. */
function createVerifier(clock: { now(): number }, fetchKeys: () => Jwks) {
  let cached = new Map<string, KeyObject>();
  let fetchedAt = Number.NEGATIVE_INFINITY;
  return (token: string): boolean => {
    if (clock.now() - fetchedAt > JWKS_CACHE) {
      const keys = fetchKeys().keys.map(
        (jwk) => [jwk.kid, createPublicKey({ key: { ...jwk }, format: "jwk" })] as const,
      );
      cached = new Map(keys);
      fetchedAt = clock.now();
    }
    const [header = "", payload = "", signature = ""] = token.split(".");
    const key = cached.get(JSON.parse(Buffer.from(header, "base64url").toString()).kid);
    if (!key) return false;
    const data = Buffer.from(`${header}.${payload}`);
    return verify("sha256", data, { key, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url"));
  };
}

test("rotation under load: a verifier that caches the key set accepts every token until it expires", async (t) => {
  const house = await openHouse(t);
  const nodes = [await house.remoteNode(), await house.remoteNode()];
  for (const node of nodes) await node.start();
  let [step, rotated, verified] = [0, 0, 0];
  const accepts = createVerifier(house.clock, () => nodes[(step >> 1) % 2]!.jwks());
  const alive: { token: string; until: number }[] = [];
  for (; rotated < 20 && step < 2_000; step++) {
    const node = nodes[step % 2]!;
    const token = signJwt({ key: node.current("ES256"), type: "at+jwt", claims: { jti: String(step) } });
    alive.push({ token, until: house.clock.time + limits.accessTokenSecondsMax * SECOND });
    while (alive[0]!.until < house.clock.time) alive.shift();
    // The newest, the oldest that has not expired, and one between.
    for (const one of [alive.at(-1)!, alive[0]!, alive[alive.length >> 1]!]) {
      assert.ok(accepts(one.token), `a token was refused after ${rotated} rotations`);
      verified++;
    }
    // A node notices with a delay what the other one did.
    if (step % 3 !== 2) await node.tick();
    const outcomes = await nodes[(step >> 2) % 2]!.rotate();
    rotated += outcomes.filter((one) => one.outcome === "rotated").length;
    house.clock.time += 15 * SECOND;
  }
  assert.equal(rotated, 20);
  assert.ok(verified > 1_000);
});

test("keys rotate by themselves when they are due, and not before", async (t) => {
  const house = await openHouse(t);
  const keys = await started(house);
  const before = keys.current("ES256").id;
  house.clock.time += 90 * DAY - 1;
  await keys.tick();
  assert.equal(keys.current("ES256").id, before);
  house.clock.time += 1;
  await Promise.all([keys.tick(), keys.tick()]);
  const after = keys.current("ES256").id;
  assert.notEqual(after, before);
  assert.equal((await keys.list()).length, 3);
  await keys.tick();
  assert.equal(keys.current("ES256").id, after);
  assert.ok((await eventTypes(house.test.database)).includes("system key.retiring"));
});

test("a retiring key is published until the last token it signed has expired, and then no longer", async (t) => {
  const house = await openHouse(t);
  const keys = await started(house);
  const old = keys.current("ES256").id;
  await keys.rotate({ now: true });
  house.clock.time += (3600 + 300 + NODE_RELOAD_SECONDS) * SECOND - 1;
  await keys.tick();
  assert.ok(keys.jwks().keys.some((jwk) => jwk.kid === old));
  house.clock.time += 1;
  await keys.tick();
  assert.ok(!keys.jwks().keys.some((jwk) => jwk.kid === old));
  const record = (await keys.list()).find((one) => one.id === old);
  assert.deepEqual([record?.state, record?.retiredAt], ["retired", house.clock.time]);
  assert.equal(
    (await eventTypes(house.test.database)).filter((type) => type === "system key.retired").length,
    1,
  );
});

test("a node takes over what another one changed", async (t) => {
  const house = await openHouse(t);
  const [here, commandLine] = [await started(house), await house.remoteNode()];
  let changes = 0;
  here.onChange(() => changes++);
  const [outcome] = await commandLine.rotate({ now: true });
  assert.ok(outcome?.outcome === "rotated");
  await here.tick();
  assert.equal(here.current("ES256").id, outcome.to);
  await here.tick();
  assert.equal(changes, 1);
});

test("what fails in a tick is logged and tried again", async (t) => {
  const house = await openHouse(t);
  let broken = false;
  const real = house.test.database;
  const database: Database = {
    ...real,
    all: (statement) => (broken ? Promise.reject(new Error("connection lost")) : real.all(statement)),
  };
  const keys = await started(house, { database });
  house.clock.time += 90 * DAY;
  const before = keys.current("ES256").id;
  broken = true;
  await keys.tick();
  assert.equal(keys.current("ES256").id, before);
  assert.ok(house.logged.some((line) => line.includes("tried again")));
  broken = false;
  await keys.tick();
  assert.notEqual(keys.current("ES256").id, before);
});

test("a crash on either side of the commit leaves one current and one next key", async (t) => {
  const house = await openHouse(t);
  const real = house.test.database;
  for (const moment of ["before", "after"] as const) {
    const database: Database = {
      ...real,
      transaction: async (work) => {
        if (moment === "before") throw new Error("power cut");
        await real.transaction(work);
        throw new Error("power cut");
      },
    };
    const before = (await started(house)).current("ES256").id;
    await assert.rejects(house.node({ database }).rotate({ now: true }), /power cut/);
    const again = await started(house);
    assert.equal(again.current("ES256").id === before, moment === "before");
    const records = await again.list();
    assert.deepEqual([count(records, "current"), count(records, "next")], [1, 1]);
  }
});

test("the key set has a bound: with too many retiring keys even an urgent rotation waits", async (t) => {
  const house = await openHouse(t);
  const keys = await started(house);
  for (let i = 0; i < RETIRING_KEYS_MAX; i++) await keys.rotate({ now: true });
  const [outcome] = await keys.rotate({ now: true });
  assert.ok(outcome?.outcome === "not_ready" && outcome.readyAt > house.clock.time);
  house.clock.time = outcome.readyAt;
  await keys.tick();
  assert.equal((await keys.rotate({ now: true }))[0]?.outcome, "rotated");
});

test("the key in memory is the same object until it changes, and signs", async (t) => {
  const house = await openHouse(t);
  const keys = await started(house);
  const key = keys.current("ES256");
  await keys.tick();
  assert.equal(keys.current("ES256"), key);
  const commandLine = await house.remoteNode();
  await commandLine.rotate({ now: true });
  assert.ok(sign("sha256", Buffer.from("a"), key.privateKey).length > 0);
  await keys.tick();
  assert.notEqual(keys.current("ES256"), key);
});
