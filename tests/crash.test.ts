import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { openTestDatabase } from "../packages/server/src/storage/test-database.ts";
import { type KeyturnServer, type Reply, startKeyturn, type Tokens } from "./keyturn-process.ts";
import { createStage } from "./stage.ts";

const stage = createStage();
after(() => stage.clear());

const clientCount = 50;
const crashes = 3;
const attemptsMax = 400;

let a: KeyturnServer;
let b: KeyturnServer;

before(async () => {
  const place = await openTestDatabase({ empty: true });
  stage.onClear(() => place.close());
  a = await startKeyturn(stage, { database: place.url });
  b = await startKeyturn(stage, { database: place.url, beside: a });
});

interface Client {
  readonly sessionId: string;
  readonly successors: string[];
  /** Requests that got no reply: turned or not, the client cannot know. */
  lost: number;
}

/**
 * An honest client: turns without pause, and when no reply comes, or 503, asks again with the same token and the same
 * attempt key, at the other server. Anything else than a successor signs it out, and fails the test.
 */
async function turnUntil(isOver: () => boolean, signedIn: Tokens): Promise<Client> {
  const deviceSecret = randomBytes(32);
  const client: Client = { sessionId: signedIn.sessionId, successors: [], lost: 0 };
  let token = signedIn.refreshToken;
  let server = a;
  while (!isOver()) {
    const attemptKey = createHmac("sha256", deviceSecret).update(token).digest("base64url");
    let reply: Reply | undefined;
    for (let attempt = 1; reply === undefined; attempt++) {
      assert.ok(attempt <= attemptsMax, "a client never got through");
      try {
        reply = await server.refresh(token, attemptKey);
        if (reply.status === 503) reply = undefined;
      } catch {
        client.lost++;
      }
      if (reply === undefined) {
        server = server === a ? b : a;
        await pause(10);
      }
    }
    assert.equal(reply.status, 200, `an honest client was signed out: ${JSON.stringify(reply.json)}`);
    token = reply.json.refreshToken;
    client.successors.push(token);
    // Back to the server that crashes.
    if (client.successors.length % 10 === 0) server = a;
  }
  return client;
}

test("kill -9 under the load of 50 clients signs nobody out and loses no acknowledged turn", async (context) => {
  await a.register("alice");
  const signedIn: Tokens[] = [];
  // One after the other: a crowd that signs in as one user at one moment looks like someone who guesses.
  while (signedIn.length < clientCount) signedIn.push(await a.login("alice"));
  let isOver = false;
  const running = Promise.all(signedIn.map((tokens) => turnUntil(() => isOver, tokens)));
  running.catch(() => {
    isOver = true;
  });
  for (let crash = 0; crash < crashes && !isOver; crash++) {
    await pause(500 + 100 * crash);
    await a.kill();
    await a.restart();
  }
  await pause(300);
  isOver = true;
  const clients = await running;

  const turns = clients.reduce((sum, { successors }) => sum + successors.length, 0);
  const lost = clients.reduce((sum, client) => sum + client.lost, 0);
  console.log(`${turns} turns acknowledged, ${lost} replies lost in ${crashes} crashes`);
  context.diagnostic(`${turns} turns acknowledged, ${lost} replies lost in ${crashes} crashes`);
  assert.ok(lost > 0, "no reply was lost, so nothing was tried");

  const { sessions } = await a.cli(["session", "list", "--limit", "1000"]);
  const generations = new Map<string, number>(
    sessions.map((one: { id: string; generation: number }) => [one.id, one.generation]),
  );
  for (const { sessionId, successors } of clients) {
    assert.equal(new Set(successors).size, successors.length, "one token was handed out for two generations");
    // A reply that was lost is given again, so each generation is acknowledged once: none lost, none twice.
    assert.equal(generations.get(sessionId), successors.length);
    assert.equal(
      (await a.refresh(successors.at(-1) ?? "")).status,
      200,
      "an acknowledged successor is unknown",
    );
  }
});
