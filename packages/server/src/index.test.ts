import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { serve } from "@hono/node-server";
import express from "express";
import { Hono } from "hono";
import { createKeyturn, type Keyturn, type SettingsInput, WrongSetting } from "./index.ts";
import { openTestDatabase } from "./storage/test-database.ts";
import { assertRefusal, type Reply } from "./test-server.ts";

/** Keyturn inside somebody else's process. */
const password = "correct horse battery";
const json = { "content-type": "application/json" };
const globals = [globalThis.Request, globalThis.Response];

async function start(settings: SettingsInput = {}) {
  const place = await openTestDatabase();
  const data = mkdtempSync(join(tmpdir(), "keyturn-test-data-"));
  const keyturn = await createKeyturn({
    issuer: "http://localhost:3000/auth",
    database: place.url,
    data,
    passwordMemoryKib: 7168,
    passwordPasses: 1,
    logLevel: "fatal",
    ...settings,
  });
  await keyturn.users.add({ username: "alice", password }, { actor: "operator" });
  return {
    keyturn,
    async close() {
      await keyturn.close();
      await place.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

async function replyOf(pending: Response | Promise<Response>): Promise<Reply> {
  const response = await pending;
  const text = await response.text();
  const body = text.startsWith("{") ? JSON.parse(text) : {};
  return { status: response.status, headers: response.headers, text, json: body };
}

const post = (body: unknown, headers: Record<string, string> = {}) => ({
  method: "POST",
  headers: { ...json, ...headers },
  body: JSON.stringify(body),
});

async function onPort(listener: RequestListener, work: (url: string) => Promise<void>): Promise<void> {
  const server: Server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await work(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** The guard in the process reads the feed when the act is committed: one trip to the database later it knows. */
async function assertRefusedSoon(keyturn: Keyturn, token: string): Promise<void> {
  const deadline = performance.now() + 1000;
  while ((await keyturn.guard.verify(token)).ok) {
    assert.ok(performance.now() < deadline, "the guard in the process still takes the token");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Sign in, ask, refresh, sign out, under an address. */
async function assertWorksUnder(url: string, keyturn: Keyturn): Promise<void> {
  const login = await replyOf(fetch(`${url}/login`, post({ username: "alice", password })));
  assert.equal(login.status, 200, login.text);
  const { accessToken, refreshToken } = login.json as Record<string, string>;
  const authorization = `Bearer ${accessToken}`;
  assert.equal((await fetch(`${url}/me`, { headers: { authorization } })).status, 200);
  const verified = await keyturn.guard.verify(String(accessToken));
  assert.ok(verified.ok);
  assert.equal(verified.identity.issuer, "http://localhost:3000/auth");
  const sessions = await replyOf(fetch(`${url}/sessions?x=1`, { headers: { authorization } }));
  const [session] = sessions.json.sessions as { ip: string }[];
  assert.equal(session?.ip, "127.0.0.1", "the caller's address is handed on");
  const refreshed = await replyOf(fetch(`${url}/refresh`, post({ refreshToken })));
  assert.equal(refreshed.status, 200, refreshed.text);
  const metadata = await replyOf(fetch(`${url}/.well-known/openid-configuration`));
  assert.equal(metadata.json.jwks_uri, "http://localhost:3000/auth/.well-known/jwks.json");
  assert.equal((await fetch(`${url}/logout`, post({}, { authorization }))).status, 204);
  await assertRefusedSoon(keyturn, String(accessToken));
  assertRefusal(await replyOf(fetch(`${url}/nothing`)), { status: 404, error: "not_found" });
}

after(() => {
  assert.deepEqual([globalThis.Request, globalThis.Response], globals, "the process keeps its own globals");
});

test("createKeyturn().fetch answers with and without the path of the issuer in front", async () => {
  const { keyturn, close } = await start();
  try {
    for (const base of ["http://localhost:3000/auth", "http://anything.example"]) {
      const login = await replyOf(
        keyturn.fetch(new Request(`${base}/login`, post({ username: "alice", password }))),
      );
      assert.equal(login.status, 200, login.text);
      const me = new Request(`${base}/me`, {
        headers: { authorization: `Bearer ${login.json.accessToken}` },
      });
      assert.equal((await replyOf(keyturn.fetch(me))).json.username, "alice");
    }
    assert.equal((await keyturn.fetch(new Request("http://localhost:3000/auth"))).status, 200);
    assert.equal((await keyturn.fetch(new Request("http://localhost:3000/authentic"))).status, 404);
    assert.equal((await keyturn.fetch(new Request("http://localhost:3000/auth/auth/me"))).status, 404);
  } finally {
    await close();
  }
});

test("nodeHandler serves under Express 5, mounted at the path of the issuer, before a body parser", async () => {
  const { keyturn, close } = await start();
  const app = express();
  app.disable("x-powered-by");
  app.use("/auth", keyturn.nodeHandler);
  app.use(express.json());
  try {
    await onPort(app, (url) => assertWorksUnder(`${url}/auth`, keyturn));
  } finally {
    await close();
  }
});

test("nodeHandler serves under Express 5 behind express.json() too, which has read the body already", async () => {
  const { keyturn, close } = await start();
  const app = express();
  app.use(express.json());
  app.use("/auth", keyturn.nodeHandler);
  try {
    await onPort(app, async (url) => {
      await assertWorksUnder(`${url}/auth`, keyturn);
      const wrong = await replyOf(fetch(`${url}/auth/login`, post({ username: 1, password })));
      assertRefusal(wrong, { status: 400, error: "invalid_request" });
      const large = await replyOf(
        fetch(`${url}/auth/login`, post({ username: "x".repeat(20_000), password })),
      );
      assertRefusal(large, { status: 413, error: "body_too_large" });
    });
  } finally {
    await close();
  }
});

test("a form that express.urlencoded() has read comes to its page as it was sent, a repeated field too", async () => {
  const { keyturn, close } = await start();
  const app = express();
  app.use(express.urlencoded({ extended: false }));
  app.use("/auth", keyturn.nodeHandler);
  try {
    await onPort(app, async (url) => {
      const send = (body: string) =>
        fetch(`${url}/auth/sign-in`, {
          method: "POST",
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body,
        });
      const reply = await send("username=a%26b+%2B&password=");
      // Without a token it comes back with what was typed.
      assert.equal(reply.status, 403);
      assert.match(await reply.text(), /value="a&amp;b \+"/);
      assert.equal((await send("username=a&username=b")).status, 400);
    });
  } finally {
    await close();
  }
});

test("behind a reader that keeps nothing of the body the answer says what is wrong, and does not hang", async () => {
  const { keyturn, close } = await start();
  const swallow: RequestListener = (request, response) => {
    request.resume();
    request.on("end", () => void keyturn.nodeHandler(request, response));
  };
  try {
    await onPort(swallow, async (url) => {
      const reply = await replyOf(fetch(`${url}/auth/login`, post({ username: "alice", password })));
      assertRefusal(reply, { status: 400, error: "invalid_request" });
      assert.match(String(reply.json.error_description), /in front of a body parser/);
    });
  } finally {
    await close();
  }
});

test("nodeHandler serves under node:http by itself, with the path of the issuer in front", async () => {
  const { keyturn, close } = await start();
  try {
    await onPort(
      (request, response) => void keyturn.nodeHandler(request, response),
      (url) => assertWorksUnder(`${url}/auth`, keyturn),
    );
  } finally {
    await close();
  }
});

test("fetch serves under Hono 4 by app.mount, with the caller's address", async () => {
  const { keyturn, close } = await start();
  const app = new Hono();
  app.mount("/auth", keyturn.fetch);
  const running = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1", overrideGlobalObjects: false });
  try {
    if (!running.listening) await once(running, "listening");
    const { port } = running.address() as { port: number };
    await assertWorksUnder(`http://127.0.0.1:${port}/auth`, keyturn);
  } finally {
    await new Promise((resolve) => running.close(resolve));
    await close();
  }
});

test("a guard in the process says what its API is, and trusts this issuer whatever else it is told", async () => {
  const { keyturn, close } = await start();
  const resource = "https://photos.example.com/mcp";
  const issuer = "https://evil.example";
  const photos = keyturn.createGuard(resource, { resourceMetadata: { resource }, ...{ issuer } });
  try {
    const { document } = photos.resourceMetadata ?? assert.fail("no metadata");
    assert.deepEqual(document.authorization_servers, [keyturn.settings.issuer]);
    const { headers } = photos.refuse("missing");
    assert.match(headers["WWW-Authenticate"] ?? "", /oauth-protected-resource\/mcp"$/);
    assert.equal(keyturn.guard.resourceMetadata, undefined);
  } finally {
    photos.close();
    await close();
  }
});

test("clients are added, changed and removed in the process, with outcomes as values", async () => {
  const { keyturn, close } = await start();
  const by = { actor: "operator" } as const;
  try {
    const metadata = { redirect_uris: ["https://shop.example/cb"] };
    const added = await keyturn.clients.add({ id: "shop", name: "Shop", type: "web", metadata }, by);
    assert.ok(added.outcome === "added" && added.secret !== undefined);
    const again = await keyturn.clients.add({ id: "shop", name: "Shop", type: "web", metadata }, by);
    assert.equal(again.outcome, "id_taken");
    const updated = await keyturn.clients.update("shop", { metadata: { scope: "openid" } }, by);
    assert.ok(updated.outcome === "updated");
    assert.deepEqual(await keyturn.clients.find("shop"), updated.client);
    assert.deepEqual(await keyturn.clients.list(), [updated.client]);
    assert.equal((await keyturn.clients.newSecret("shop", by)).outcome, "renewed");
    assert.equal(await keyturn.clients.remove("shop", by), true);
    assert.equal(await keyturn.clients.find("shop"), undefined);
  } finally {
    await close();
  }
});

test("the guard in the process feels every kind of ending at once; another audience has a guard of its own", async () => {
  const { keyturn, close } = await start();
  const other = keyturn.createGuard("https://other.example");
  try {
    const login = async () => {
      const request = new Request("http://x/login", post({ username: "alice", password }));
      return (await replyOf(keyturn.fetch(request))).json as { accessToken: string; sessionId: string };
    };
    const good = async (token: string) => (await keyturn.guard.verify(token)).ok;
    const user = await keyturn.users.find("alice");
    assert.ok(user);
    const by = { actor: "operator" } as const;
    const endings: ((sessionId: string) => Promise<unknown>)[] = [
      (sessionId) => keyturn.sessions.end(sessionId, { ...by, reason: "ended_by_operator" }),
      () => keyturn.sessions.endAllOfUser(user.id, { ...by, reason: "ended_by_operator" }),
      () => keyturn.users.disable(user.id, by),
    ];
    for (const end of endings) {
      const { accessToken, sessionId } = await login();
      assert.ok(await good(accessToken));
      assert.equal((await other.verify(accessToken)).ok, false, "it is for another API");
      await end(sessionId);
      await assertRefusedSoon(keyturn, accessToken);
    }
  } finally {
    other.close();
    await close();
  }
});

test("keys rotate in the process without one token refused", async () => {
  const { keyturn, close } = await start();
  try {
    const request = () => new Request("http://x/login", post({ username: "alice", password }));
    const { json: before } = await replyOf(keyturn.fetch(request()));
    const from = (await keyturn.keys.list()).find(({ state }) => state === "current");
    assert.ok(from);
    await keyturn.keys.rotate({ now: true });
    const { json: after } = await replyOf(keyturn.fetch(request()));
    for (const { accessToken } of [before, after]) {
      assert.ok((await keyturn.guard.verify(String(accessToken))).ok);
    }
  } finally {
    await close();
  }
});

test("close() with requests under way: each is answered, with success or 503; closing twice is closing once", async () => {
  const { keyturn, close } = await start();
  const { json: body } = await replyOf(
    keyturn.fetch(new Request("http://x/login", post({ username: "alice", password }))),
  );
  const { refreshToken } = body;
  const asking = [
    ...Array.from({ length: 20 }, () => new Request("http://x/refresh", post({ refreshToken }))),
    ...Array.from({ length: 8 }, () => new Request("http://x/login", post({ username: "alice", password }))),
  ].map((request) => replyOf(keyturn.fetch(request)));
  await Promise.all([keyturn.close(), keyturn.close()]);
  for (const reply of await Promise.all(asking)) {
    if (reply.status !== 200) assertRefusal(reply, { status: 503 });
  }
  const late = await replyOf(keyturn.fetch(new Request("http://x/refresh", post({ refreshToken }))));
  assertRefusal(late, { status: 503, error: "unavailable" });
  await close();
});

test("a wrong setting stops the start with one line that names it and never shows a secret", async () => {
  const wrong: [SettingsInput, RegExp][] = [
    [{ issuer: "http://example.com" }, /^issuer is "http:\/\/example\.com"; it takes an https address/],
    [{ issuer: "http://localhost/" }, /^issuer is /],
    [{ port: "3000" as never }, /^port is "3000"; it takes a whole number/],
    [{ secret: "short-secret" }, /secret/i],
    [{ database: "mysql://user:hunter22@host/db" }, /^database is a wrong value \(not shown\)/],
    [{ typo: 1 } as never, /^There is no setting typo/],
  ];
  for (const [settings, line] of wrong) {
    await assert.rejects(
      createKeyturn({ data: tmpdir(), logLevel: "fatal", ...settings }),
      (error: Error) => {
        assert.ok(error instanceof WrongSetting, `${error}`);
        assert.match(error.message, line);
        assert.doesNotMatch(error.message, /short-secret|hunter22|\n/);
        return true;
      },
    );
  }
});
