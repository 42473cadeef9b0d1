import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { createGuard } from "@keyturn/guard";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { createKeyturn, type Keyturn } from "keyturn";
import { openTestDatabase } from "../packages/server/src/storage/test-database.ts";
import { call, type KeyturnServer, keyturnScript, startExample, startKeyturn } from "./keyturn-process.ts";
import { createStage, untilTrue } from "./stage.ts";

const stage = createStage();
after(() => stage.clear());

/** Two nodes on one database: a process of its own, and one embedded in this process. */
let keyturn: KeyturnServer;
let embedded: { readonly app: Keyturn; readonly url: string };

before(async () => {
  const place = await openTestDatabase({ empty: true });
  stage.onClear(() => place.close());
  keyturn = await startKeyturn(stage, {
    database: place.url,
    environment: { KEYTURN_JWKS_CACHE_SECONDS: "10" },
  });
  const app = await createKeyturn({
    issuer: keyturn.issuer,
    database: place.url,
    data: keyturn.environment.KEYTURN_DATA ?? "",
    jwksCacheSeconds: 10,
    logLevel: "silent",
  });
  stage.onClear(() => app.close());
  const server = createServer((incoming, outgoing) => void app.nodeHandler(incoming, outgoing));
  stage.onClear(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  embedded = { app, url: `http://127.0.0.1:${(server.address() as { port: number }).port}` };
  await keyturn.register("alice");
});

const keyOf = (token: string) => decodeProtectedHeader(token).kid ?? "";

/** The ways in which an API may verify: the guard, another library, and an example over HTTP. Each says what is wrong. */
async function startVerifiers() {
  const options = { issuer: keyturn.issuer, audience: keyturn.issuer };
  const guard = createGuard({ ...options, cacheTokensMax: 0 });
  stage.onClear(() => guard.close());
  // By default it asks for an unknown key every 30 seconds at most; the keys rotate faster here than anywhere else.
  const keys = createRemoteJWKSet(new URL(`${keyturn.issuer}/.well-known/jwks.json`), {
    cooldownDuration: 1000,
  });
  const api = await startExample(stage, "hono/app.ts", { KEYTURN_ISSUER: keyturn.issuer });
  await guard.ready();
  return {
    guard: async (token: string) => {
      const verification = await guard.verify(token);
      return verification.ok ? undefined : verification.refusal.reason;
    },
    jose: (token: string) =>
      jwtVerify(token, keys, { ...options, typ: "at+jwt" }).then(
        () => undefined,
        (error: Error) => error.message,
      ),
    api: async (token: string) => {
      const { status } = await call(`${api.url}/protected`, { token });
      return status === 200 ? undefined : `status ${status}`;
    },
  };
}

/** Clients that refresh without pause, at both nodes in turn, and have every token verified in every way. */
async function startLoad() {
  const verifiers = await startVerifiers();
  const failures = new Set<string>();
  const newest = new Map<string, string>();
  /** A token of each key that ever signed. */
  const tokensByKey = new Map<string, string>();
  let minted = 0;
  let isOver = false;

  async function client(): Promise<void> {
    let { refreshToken } = await keyturn.login("alice");
    for (let turn = 0; !isOver; turn++) {
      const node = turn % 2 === 0 ? keyturn.url : embedded.url;
      const { status, json } = await call(`${node}/refresh`, { json: { refreshToken } });
      assert.equal(status, 200, JSON.stringify(json));
      ({ refreshToken } = json);
      minted++;
      const key = keyOf(json.accessToken);
      newest.set(node, key);
      tokensByKey.set(key, json.accessToken);
      for (const [name, verify] of Object.entries(verifiers)) {
        const problem = await verify(json.accessToken);
        if (problem !== undefined) failures.add(`${name}: ${problem} (key ${key})`);
      }
    }
  }

  const clients = Promise.all(Array.from({ length: 4 }, client));
  clients.catch(() => {});
  return {
    verifiers,
    tokensByKey,
    failures,
    minted: () => minted,
    /** Waits until both nodes sign with another key than these. */
    async newKey(known: readonly string[]): Promise<string> {
      const isNew = (node: string) => newest.has(node) && !known.includes(newest.get(node) ?? "");
      const both = () => isNew(keyturn.url) && isNew(embedded.url);
      await untilTrue(15, both, "the nodes do not sign with another key");
      assert.equal(newest.get(keyturn.url), newest.get(embedded.url), "both nodes sign with the same key");
      return newest.get(keyturn.url) ?? "";
    },
    async stop(): Promise<void> {
      isOver = true;
      await clients;
    },
  };
}

test("keys rotate under load, by the command line and in process, without one failed verification", async (context) => {
  const load = await startLoad();
  const first = await load.newKey([]);

  // Verifiers know this next key already: it has been published since the start.
  await keyturn.cli(["key", "rotate", "--now"]);
  const second = await load.newKey([first]);

  // This one they have never seen: they ask again when they meet it, and at most once in ten seconds. A third
  // rotation before that time is over is what the warning of --now is about.
  const rotated = await embedded.app.keys.rotate({ now: true });
  assert.deepEqual(new Set(rotated.map(({ outcome }) => outcome)), new Set(["rotated"]));
  await load.newKey([first, second]);

  await load.stop();
  console.log(`${load.minted()} tokens by ${load.tokensByKey.size} keys`);
  context.diagnostic(`${load.minted()} tokens by ${load.tokensByKey.size} keys`);
  assert.deepEqual(load.failures, new Set());
  assert.equal(load.tokensByKey.size, 3);

  const fresh = await startVerifiers();
  for (const [key, token] of load.tokensByKey) {
    for (const verify of Object.values(fresh)) {
      assert.equal(await verify(token), undefined, `a key that no longer signs is still published: ${key}`);
    }
  }
});

test("key rotate without --now leaves everything as it is while verifiers cannot know the next key yet", async () => {
  const before = await keyturn.cli(["key", "list"]);
  const { environment } = keyturn;
  const { code, stdout } = await stage.run(keyturnScript, ["key", "rotate", "--json"], { environment });
  assert.equal(code, 1);
  const [outcome] = JSON.parse(stdout).keys;
  assert.equal(outcome.outcome, "not_ready");
  assert.ok(Date.parse(outcome.readyAt) > Date.now());
  assert.deepEqual(await keyturn.cli(["key", "list"]), before);
});
