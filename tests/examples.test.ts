import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import {
  call,
  type KeyturnServer,
  password,
  startExample,
  startKeyturn,
  type Tokens,
} from "./keyturn-process.ts";
import { createStage, freePort, root, untilTrue } from "./stage.ts";

const stage = createStage();
after(() => stage.clear());

let keyturn: KeyturnServer;
let learners = 0;
let resource: { RESOURCE_ID: string; RESOURCE_SECRET: string };

before(async () => {
  keyturn = await startKeyturn(stage);
  resource = await keyturn.addResource("examples");
  await keyturn.register("reader");
  const add = ["user", "add", "editor", "--role", "editor", "--password-stdin"];
  await keyturn.cli(add, { input: `${password}\n` });
});

const environment = () => ({ KEYTURN_ISSUER: keyturn.issuer, ...resource });
const isRefused = (url: string, token: string) => async () => (await call(url, { token })).status === 401;

/** What every tutorial shows and leaves as a toy, at an API and the Keyturn that it trusts. */
async function playTheTutorial(api: string, auth: string): Promise<void> {
  const username = `learner-${++learners}`;
  assert.equal((await call(`${auth}/register`, { json: { username, password } })).status, 201);
  const login = async (device: string): Promise<Tokens> => {
    const reply = await call(`${auth}/login`, { json: { username, password, device } });
    assert.equal(reply.status, 200, JSON.stringify(reply.json));
    return reply.json;
  };
  const refresh = (refreshToken: string) => call(`${auth}/refresh`, { json: { refreshToken } });
  const protectedUrl = `${api}/protected`;

  const nobody = await call(protectedUrl);
  assert.equal(nobody.status, 401);
  assert.equal(nobody.headers.get("www-authenticate"), "Bearer");
  assert.equal(nobody.json.error, "missing_token");

  const phone = await login("phone");
  const laptop = await login("laptop");
  const hello = await call(protectedUrl, { token: phone.accessToken });
  assert.equal(hello.status, 200, JSON.stringify(hello.json));
  const me = await call(`${auth}/me`, { token: phone.accessToken });
  // The tutorial signs `userId` and reads `id`: there, everyone is undefined.
  assert.equal(hello.json.subject, me.json.id);
  assert.equal(hello.json.message, `Hello, ${me.json.id}`);
  assert.equal(hello.json.sessionId, phone.sessionId);

  // The tutorial verifies both kinds with one function: there, a refresh token opens the API.
  for (const token of [phone.refreshToken, phone.idToken, `${phone.accessToken}x`]) {
    const refused = await call(protectedUrl, { token });
    assert.equal(refused.status, 401);
    assert.equal(refused.json.error, "invalid_token");
  }

  let turned = await refresh(phone.refreshToken);
  // A token that was replaced this often is a stolen one, however short ago that was.
  for (let turn = 2; turn <= 6; turn++) turned = await refresh(turned.json.refreshToken);
  assert.equal(turned.status, 200, JSON.stringify(turned.json));
  assert.equal((await call(protectedUrl, { token: turned.json.accessToken })).status, 200);

  const { sessions } = (await call(`${auth}/sessions`, { token: laptop.accessToken })).json;
  const devices = new Map(
    sessions.map((one: { device: string; current: boolean }) => [one.device, one.current]),
  );
  assert.deepEqual([...devices].sort(), [
    ["laptop", true],
    ["phone", false],
  ]);

  const stolen = await refresh(phone.refreshToken);
  assert.deepEqual([stolen.status, stolen.json.reason], [401, "reused"]);
  await untilTrue(
    1,
    isRefused(protectedUrl, turned.json.accessToken),
    "the API did not refuse the stolen session",
  );
  const owner = await refresh(turned.json.refreshToken);
  assert.deepEqual([owner.status, owner.json.reason], [401, "reused"]);

  const tablet = await login("tablet");
  const ended = await call(`${auth}/sessions/${tablet.sessionId}`, {
    method: "DELETE",
    token: laptop.accessToken,
  });
  assert.equal(ended.status, 204);
  await untilTrue(
    1,
    isRefused(protectedUrl, tablet.accessToken),
    "the API did not refuse the device that was ended",
  );

  assert.equal((await call(protectedUrl, { token: laptop.accessToken })).status, 200);
  const signedOut = await call(`${auth}/logout`, { method: "POST", token: laptop.accessToken });
  assert.equal(signedOut.status, 204);
  await untilTrue(
    1,
    isRefused(protectedUrl, laptop.accessToken),
    "the API did not refuse the session signed out",
  );
  assert.equal((await refresh(laptop.refreshToken)).status, 401);
}

/** Editors may, readers get 403, nobody gets 401. */
async function assertOnlyEditors(url: string, tokens: { reader: string; editor: string }): Promise<void> {
  const json = { title: "Turn, and turn again" };
  assert.equal((await call(url, { json })).status, 401);
  const refused = await call(url, { json, token: tokens.reader });
  assert.deepEqual([refused.status, refused.json.error], [403, "insufficient_scope"]);
  assert.equal((await call(url, { json, token: tokens.editor })).status, 201);
}

async function bothTokens(server: KeyturnServer) {
  const [reader, editor] = [await server.login("reader"), await server.login("editor")];
  return { reader: reader.accessToken, editor: editor.accessToken };
}

describe("examples/express beside a running Keyturn", () => {
  test("serves the tutorial: sign in, call, refresh, catch a thief, list devices, sign out", async () => {
    const { url, process } = await startExample(stage, "express/app.ts", environment());
    await playTheTutorial(url, keyturn.url);
    assert.equal((await process.stop()).code, 0);
  });

  test("lets editors write and everyone read", async () => {
    const { url } = await startExample(stage, "express/app.ts", environment());
    const tokens = await bothTokens(keyturn);
    await assertOnlyEditors(`${url}/articles`, tokens);
    const [article] = JSON.parse((await call(`${url}/articles`, { token: tokens.editor })).json);
    assert.deepEqual([article.title, article.mine], ["Turn, and turn again", true]);
    const [same] = JSON.parse((await call(`${url}/articles`)).json);
    assert.equal(same.mine, false);
    assert.equal(
      (await call(`${url}/articles`, { token: "wrong" })).status,
      401,
      "a bad token is never nobody",
    );
  });

  test("tells bad input by 400 and no stack trace", async () => {
    const { url } = await startExample(stage, "express/app.ts", environment());
    const { editor } = await bothTokens(keyturn);
    const headers = { "content-type": "application/json", authorization: `Bearer ${editor}` };
    for (const body of ["{", "[]", '{"title":7}', `{"title":"${"x".repeat(20_000)}"}`]) {
      const response = await fetch(`${url}/articles`, { method: "POST", headers, body });
      assert.ok(
        response.status === 400 || response.status === 413,
        `${response.status} for ${body.slice(0, 20)}`,
      );
      assert.doesNotMatch(await response.text(), /node_modules|\bat /);
    }
  });

  test("does not delete while it hears no feed, and says so by 503", async () => {
    const { url } = await startExample(stage, "express/app.ts", { KEYTURN_ISSUER: keyturn.issuer });
    const { editor } = await bothTokens(keyturn);
    const refused = await call(`${url}/articles`, { method: "DELETE", token: editor });
    assert.deepEqual([refused.status, refused.json.error], [503, "unavailable"]);
    assert.ok(Number(refused.headers.get("retry-after")) > 0);
    assert.equal((await call(`${url}/protected`, { token: editor })).status, 200, "other routes go on");

    const following = await startExample(stage, "express/app.ts", environment());
    assert.equal((await call(`${following.url}/articles`, { method: "DELETE", token: editor })).status, 204);
  });
});

test("examples/express embedded serves the tutorial in one process and keeps its users", async () => {
  const [port, data] = [await freePort(), stage.folder()];
  const url = `http://127.0.0.1:${port}`;
  const settings = {
    PORT: String(port),
    KEYTURN_ISSUER: `${url}/auth`,
    KEYTURN_DATA: data,
  };
  const first = await startExample(stage, "express/embedded.ts", settings);
  const [, secret] = await first.process.says(/alice, password (\S+)/);
  assert.equal((await call(`${url}/auth/register`, { json: { username: "reader", password } })).status, 201);
  const signIn = async (username: string, word: string | undefined) =>
    (await call(`${url}/auth/login`, { json: { username, password: word } })).json.accessToken;
  await playTheTutorial(url, `${url}/auth`);
  const tokens = { reader: await signIn("reader", password), editor: await signIn("alice", secret) };
  await assertOnlyEditors(`${url}/articles`, tokens);
  assert.equal(
    (await call(`${url}/auth/logout`, { json: { everywhere: true }, token: tokens.reader })).status,
    204,
  );
  assert.equal(
    (await call(`${url}/protected`, { token: tokens.reader })).status,
    401,
    "the very next request knows",
  );
  assert.equal((await first.process.stop()).code, 0);

  const second = await startExample(stage, "express/embedded.ts", settings);
  assert.doesNotMatch(second.process.stdout(), /password/, "the first user is made once");
  assert.equal(
    (await call(`${url}/protected`, { token: tokens.editor })).status,
    200,
    "keys outlive a restart",
  );
});

for (const [file, route] of [
  ["fastify/app.ts", "photos"],
  ["hono/app.ts", "photos"],
] as const) {
  test(`examples/${file} serves the tutorial and lets only editors write`, async () => {
    const { url, process } = await startExample(stage, file, environment());
    assert.equal((await call(url)).json.signInAt, `${keyturn.issuer}/login`);
    await playTheTutorial(url, keyturn.url);
    await assertOnlyEditors(`${url}/${route}`, await bothTokens(keyturn));
    assert.equal((await process.stop()).code, 0);
  });
}

describe("npm run example", () => {
  const script = path.join(root, "examples/run.ts");

  test("registers the example, so that it follows the feed, at every start", async () => {
    const editor = (await keyturn.login("editor")).accessToken;
    for (const start of ["first", "second"]) {
      const started = stage.start(script, ["express"], {
        environment: { ...keyturn.environment, PORT: "0" },
      });
      const [, port] = await started.says(/listens on http:\/\/localhost:(\d+)/);
      const deleted = await call(`http://127.0.0.1:${port}/articles`, { method: "DELETE", token: editor });
      assert.equal(deleted.status, 204, `the ${start} start: ${started.stderr()}`);
      assert.equal((await started.stop()).code, 0);
    }
  });

  test("makes the example a client where it signs people in, with the address that it has now", async () => {
    let sawSecret = "";
    for (const start of ["first", "second"]) {
      const PORT = String(await freePort());
      const started = stage.start(script, ["oidc-web"], { environment: { ...keyturn.environment, PORT } });
      await started.says(/listens on /);
      const { headers } = await fetch(`http://127.0.0.1:${PORT}/sign-in`, { redirect: "manual" });
      const leads = new URL(headers.get("location") ?? "");
      assert.equal(leads.searchParams.get("client_id"), "oidc-web");
      const back = leads.searchParams.get("redirect_uri");
      assert.equal(back, `http://localhost:${PORT}/callback`);
      const { client } = await keyturn.cli(["client", "show", "oidc-web"]);
      assert.deepEqual(client.metadata.redirect_uris, [back], `the ${start} start: ${started.stderr()}`);
      sawSecret += started.stdout() + started.stderr();
      assert.equal((await started.stop()).code, 0);
    }
    assert.doesNotMatch(sawSecret, /secret/i);
  });

  test("says what it takes when it does not know the example", async () => {
    const { code, stderr } = await stage.run(script, ["nosuch"], { environment: keyturn.environment });
    assert.equal(code, 2);
    assert.match(stderr, /npm run example express, npm run example express embedded/);
  });
});
