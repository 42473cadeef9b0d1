import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openTestDatabase } from "../packages/server/src/storage/test-database.ts";
import { type KeyturnServer, startKeyturn, type Tokens } from "./keyturn-process.ts";
import { createStage, freePort, untilTrue } from "./stage.ts";

const stage = createStage();
after(() => stage.clear());

let a: KeyturnServer;
let b: KeyturnServer;

before(async () => {
  const place = await openTestDatabase({ empty: true });
  stage.onClear(() => place.close());
  // Both at the same moment, on an empty database and an empty data folder.
  const environment = {
    KEYTURN_ISSUER: `http://127.0.0.1:${await freePort()}`,
    KEYTURN_DATA: stage.folder(),
  };
  const start = () => startKeyturn(stage, { database: place.url, environment });
  [a, b] = await Promise.all([start(), start()]);
  await a.register("alice");
});

test("two servers that start at once on nothing make one admin, one secret, one set of keys", async () => {
  const admins = [a.firstAdmin, b.firstAdmin].flatMap((admin) => admin ?? []);
  assert.equal(admins.length, 1);
  const tokens = await b.login("admin", "a test", admins[0]?.password);
  assert.equal((await a.call("/me", { token: tokens.accessToken })).json.username, "admin");
  const key = async (server: KeyturnServer) => (await server.call("/.well-known/jwks.json")).json.keys;
  assert.deepEqual(await key(a), await key(b));
});

test("a session that began at one server turns at the other", async () => {
  const signedIn = await a.login("alice");
  const atB = await b.refresh(signedIn.refreshToken);
  assert.equal(atB.status, 200, JSON.stringify(atB.json));
  const atA = await a.refresh(atB.json.refreshToken);
  assert.equal(atA.status, 200, JSON.stringify(atA.json));
  assert.equal(new Set([signedIn.refreshToken, atB.json.refreshToken, atA.json.refreshToken]).size, 3);
});

test("a session ended at one server is refused by the other, whose followers hear of it within a second", async () => {
  const { RESOURCE_ID: id, RESOURCE_SECRET: secret } = await a.addResource("api");
  const feed = await followFeed(b, `${id}:${secret}`);
  const { accessToken, refreshToken, sessionId } = await b.login("alice");
  assert.equal((await b.call("/me", { token: accessToken })).status, 200);

  assert.equal((await a.call("/logout", { json: { refreshToken } })).status, 204);
  const refused = await b.refresh(refreshToken);
  assert.deepEqual([refused.status, refused.json.reason], [401, "revoked"]);
  assert.equal((await b.call("/me", { token: accessToken })).status, 401, "the row is the truth, at once");
  await untilTrue(1, () => feed.text().includes(sessionId), "the other server's feed did not tell");
});

test("64 parallel refreshes of one token, spread over both servers, get one successor", async () => {
  for (let round = 0; round < 5; round++) {
    const { refreshToken } = await a.login("alice");
    const replies = await Promise.all(
      Array.from({ length: 64 }, (_, index) => (index % 2 === 0 ? a : b).refresh(refreshToken)),
    );
    assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
    const successors = new Set<string>(replies.map(({ json }) => json.refreshToken));
    assert.equal(successors.size, 1);
    const [successor = ""] = successors;
    assert.notEqual(successor, refreshToken);
    assert.equal((await b.refresh(successor)).status, 200);
  }
});

test("once sessions are ended at one server, no refresh that begins afterwards succeeds at the other", async () => {
  for (let round = 0; round < 5; round++) {
    const sessions = await Promise.all(Array.from({ length: 4 }, () => a.login("alice")));
    let isEnded = false;
    const late: number[] = [];
    const turnOn = async ({ refreshToken }: Tokens) => {
      for (let current = refreshToken; ; ) {
        const beganLate = isEnded;
        const { status, json } = await b.refresh(current);
        if (beganLate) late.push(status);
        if (status !== 200) return json.reason;
        current = json.refreshToken;
      }
    };
    const racing = Promise.all(sessions.map(turnOn));
    const json = { refreshToken: (await a.login("alice")).refreshToken, everywhere: true };
    assert.equal((await a.call("/logout", { json })).status, 204);
    isEnded = true;
    assert.deepEqual(new Set(await racing), new Set(["revoked"]));
    assert.ok(!late.includes(200), "a session that was ended turned on");
  }
});

/** What a reader of the server's feed has heard so far. */
async function followFeed(server: KeyturnServer, credentials: string): Promise<{ text(): string }> {
  const controller = new AbortController();
  stage.onClear(() => controller.abort());
  const headers = { accept: "text/event-stream", authorization: `Basic ${btoa(credentials)}` };
  const response = await fetch(`${server.url}/revocations`, { headers, signal: controller.signal });
  assert.equal(response.status, 200);
  let text = "";
  const read = async () => {
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk;
  };
  read().catch(() => {});
  await untilTrue(2, () => text.includes("event: snapshot"), "the feed began with no snapshot");
  return { text: () => text };
}
