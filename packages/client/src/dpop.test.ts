import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { memoryStorage } from "./memory-storage.ts";
import { apiUrl, issuerUrl } from "./test-issuer.ts";
import { createWorld, signIn, spoilWallClock } from "./test-world.ts";

let restore: () => void;
before(() => {
  restore = spoilWallClock();
});
after(() => restore());

async function scene() {
  const world = createWorld();
  // The device's clock is years behind, so the first proof is good only by its nonce.
  world.issuer.nonce = "nonce-1";
  const storage = memoryStorage();
  const tab = world.openTab({ dpop: true, storage });
  await signIn(world, tab);
  const paths = () => world.issuer.requests.map(({ url }) => url.pathname);
  return { world, storage, paths, ...tab };
}

const claimsOf = (proof: string | null) => JSON.parse(atob(proof?.split(".")[1] ?? ""));

describe("RFC 9449: a session that is bound to a key", () => {
  test("§8: the server's nonce is taken up at once", async () => {
    const { paths, world } = await scene();
    assert.deepEqual(paths(), ["/login", "/login"]);
    assert.match(world.issuer.only().thumbprint ?? "", /^[\w-]{43}$/);
    assert.deepEqual(world.issuer.proofProblems, []);
  });

  test("§4.2, §7: each request of an API has a proof of its own, with the token's hash", async () => {
    const { client, world } = await scene();
    assert.equal(await world.whoAmI(client), "alice");
    const response = await world.timeline.run(
      client.fetch(`${apiUrl}/a?b=c#d`, { method: "post", body: "x" }),
    );
    assert.equal(response.status, 200);
    const [first, second] = world.issuer.requests
      .slice(-2)
      .map(({ headers }) => claimsOf(headers.get("dpop")));
    assert.deepEqual([second.htm, second.htu], ["POST", `${apiUrl}/a`]);
    assert.notEqual(first.jti, second.jti);
    assert.equal(first.nonce, undefined, "another origin's nonce");
    assert.match(world.issuer.requests.at(-1)?.headers.get("authorization") ?? "", /^DPoP /);
    assert.deepEqual(world.issuer.proofProblems, []);
  });

  test("the time in a proof is the server's, whatever this device's clock says", async () => {
    const { client, world } = await scene();
    world.issuer.nonce = undefined;
    await world.timeline.advance(5 * 3_600_000);
    assert.equal(await world.whoAmI(client), "alice");
    assert.equal(world.refreshes().length, 1);
    assert.deepEqual(world.issuer.proofProblems, []);
  });

  test("§8.2: a nonce that is new replaces the old, at the server and at each API", async () => {
    const { client, world, paths } = await scene();
    world.issuer.nonce = "nonce-2";
    world.issuer.apiNonce = "api-1";
    await world.timeline.advance(700_000);
    assert.equal(await world.whoAmI(client), "alice");
    assert.deepEqual(paths().slice(2), ["/refresh", "/refresh", "/me", "/me"]);
    assert.equal(await world.whoAmI(client), "alice");
    assert.deepEqual(paths().slice(6), ["/me"]);
    assert.equal(world.issuer.turns, 1);
    assert.deepEqual(world.issuer.proofProblems, []);
  });

  test("a server that asks for ever new nonces is not asked for ever", async () => {
    const { client, world } = await scene();
    await world.timeline.advance(700_000);
    let nonces = 0;
    world.network = async () =>
      new Response('{"error":"use_dpop_nonce"}', { status: 400, headers: { "dpop-nonce": `n${nonces++}` } });
    await assert.rejects(world.timeline.run(client.accessToken()), { code: "use_dpop_nonce" });
    assert.ok(nonces <= 3);
  });

  test("after a reload the key is still there, and still cannot be read", async () => {
    const { storage, world } = await scene();
    const record = await storage.read(issuerUrl);
    for (const key of [record?.dpop?.privateKey, record?.deviceKey]) {
      assert.ok(key instanceof CryptoKey);
      assert.equal(key.extractable, false);
    }
    assert.deepEqual(Object.keys(record?.dpop?.publicKey ?? {}), ["kty", "crv", "x", "y"]);
    assert.equal(await world.whoAmI(world.openTab({ dpop: true, storage }).client), "alice");
    assert.deepEqual(world.issuer.proofProblems, []);
  });

  test("the refresh token alone is worth nothing: the server knows no such session", async () => {
    const { storage, world } = await scene();
    const record = await storage.read(issuerUrl);
    const thief = memoryStorage();
    const { dpop, ...stolen } = record as NonNullable<typeof record>;
    assert.ok(dpop);
    await thief.replace(issuerUrl, undefined, stolen);
    const { client } = world.openTab({ storage: thief });
    await assert.rejects(world.timeline.run(client.accessToken()), {
      code: "invalid_refresh_token",
      reason: "unknown",
    });
    assert.equal(world.issuer.only().endReason, undefined);
  });

  test("signing out takes no proof", async () => {
    const { client, world } = await scene();
    assert.deepEqual(await world.timeline.run(client.signOut({ everywhere: true })), { told: true });
    assert.equal(world.issuer.requests.at(-1)?.headers.get("dpop"), null);
  });

  test("a storage that keeps no keys gets them as JSON, and they work", async () => {
    const world = createWorld();
    world.issuer.nonce = "n";
    const inner = memoryStorage();
    const storage = {
      ...inner,
      keepsKeys: false,
      async read(key: string) {
        const record = await inner.read(key);
        return record && JSON.parse(JSON.stringify(record));
      },
    };
    await signIn(world, world.openTab({ dpop: true, storage }));
    const { client } = world.openTab({ storage });
    assert.equal(await world.whoAmI(client), "alice");
    assert.equal(world.refreshes().at(-1)?.headers.get("idempotency-key")?.length, 43);
    assert.deepEqual(world.issuer.proofProblems, []);
  });

  test("where access tokens are bound to nothing, the refresh token may be: it is proved all the same", async () => {
    const world = createWorld();
    world.issuer.nonce = "nonce-1";
    world.network = async (request, deliver) => {
      const reply = await deliver(request);
      const body = await reply.json();
      return Response.json({ ...body, ...(body.tokenType && { tokenType: "Bearer" }) }, reply);
    };
    const tab = world.openTab({ dpop: true });
    await signIn(world, tab);
    await world.timeline.advance(700_000);
    await world.timeline.run(tab.client.accessToken());
    assert.ok(world.refreshes().every(({ headers }) => headers.get("dpop") !== null));
    assert.deepEqual(world.issuer.proofProblems, []);
  });
});
