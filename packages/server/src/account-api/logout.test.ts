import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  assertRefusal,
  startTestServer,
  stoppedClock,
  type TestServer,
  type Tokens,
} from "../test-server.ts";

const clock = stoppedClock();
let server: TestServer;

before(async () => {
  server = await startTestServer({ clock });
  await server.addUser("alice");
  await server.addUser("mallory");
});
after(() => server.close());

const logout = (json: unknown, token?: string) => server.call("/logout", { json, token });
const statusOf = async ({ accessToken }: Tokens) => (await server.call("/me", { token: accessToken })).status;

async function turned({ refreshToken }: Tokens): Promise<Tokens> {
  const reply = await server.call("/refresh", { json: { refreshToken } });
  assert.equal(reply.status, 200);
  return reply.json as unknown as Tokens;
}

test("by access token: 204, this session is over at once, others go on", async () => {
  const [here, elsewhere] = [await server.login("alice"), await server.login("alice")];
  const reply = await logout({}, here.accessToken);
  assert.equal(reply.status, 204);
  assert.equal(reply.text, "");
  assert.equal(reply.headers.get("cache-control"), "no-store");
  assert.equal(reply.headers.get("content-type"), null);
  assert.equal(await statusOf(here), 401);
  assert.equal(await statusOf(elsewhere), 200);
});

test("by access token: the body may be left out, and may be empty", async () => {
  const { accessToken } = await server.login("alice");
  assert.equal((await server.call("/logout", { method: "POST", token: accessToken })).status, 204);
  const again = await server.login("alice");
  const headers = { "content-type": "application/json" };
  const empty = await server.call("/logout", { method: "POST", body: "", headers, token: again.accessToken });
  assert.equal(empty.status, 204);
});

test("by refresh token: no access token is needed", async () => {
  const tokens = await server.login("alice");
  assert.equal((await logout({ refreshToken: tokens.refreshToken })).status, 204);
  assert.equal(await statusOf(tokens), 401);
});

test("RFC 7009 §2.2: signing out twice by refresh token is no error; by access token the second one is unknown", async () => {
  const tokens = await server.login("alice");
  const { refreshToken, accessToken } = tokens;
  assert.equal((await logout({ refreshToken })).status, 204);
  assert.equal((await logout({ refreshToken })).status, 204);
  assert.equal((await logout({ refreshToken, everywhere: true })).status, 204);
  assertRefusal(await logout({}, accessToken), { status: 401, error: "invalid_token" });
});

test("everywhere: all of the user's sessions, and nobody else's", async () => {
  const mine = [await server.login("alice"), await server.login("alice"), await server.login("alice")];
  const theirs = await server.login("mallory");
  const [first, second, third] = mine as [Tokens, Tokens, Tokens];
  assert.equal((await logout({ everywhere: true }, first.accessToken)).status, 204);
  for (const session of [first, second, third]) assert.equal(await statusOf(session), 401);
  assert.equal(await statusOf(theirs), 200);
  const [fourth, fifth] = [await server.login("alice"), await server.login("alice")];
  assert.equal((await logout({ refreshToken: fourth.refreshToken, everywhere: true })).status, 204);
  assert.equal(await statusOf(fifth), 401);
});

test("an old refresh token ends its own session, as using it would; it never ends the others", async () => {
  const [old, other] = [await server.login("alice"), await server.login("alice")];
  const current = await turned(old);
  clock.pass(31);
  const { refreshToken } = old;
  const refused = await logout({ refreshToken, everywhere: true });
  assertRefusal(refused, { status: 401, error: "invalid_refresh_token", reason: "superseded" });
  assert.equal(await statusOf(current), 200);
  assert.equal((await logout({ refreshToken })).status, 204);
  assert.equal(await statusOf(current), 401);
  assert.equal(await statusOf(other), 200);
});

test("a refresh token that we never made ends nothing", async () => {
  const tokens = await server.login("alice");
  const before = await server.rows();
  for (const refreshToken of ["", "krt_", tokens.refreshToken.slice(0, -1), `${tokens.refreshToken}=`]) {
    const reply = await logout({ refreshToken });
    assertRefusal(reply, { status: 401, error: "invalid_refresh_token", reason: "malformed" });
  }
  assert.equal(await server.rows(), before);
});

test("the refresh token that is named decides, not the access token that comes with it", async () => {
  const [alice, mallory] = [await server.login("alice"), await server.login("mallory")];
  const reply = await logout({ refreshToken: mallory.refreshToken }, alice.accessToken);
  assert.equal(reply.status, 204);
  assert.equal(await statusOf(alice), 200);
  assert.equal(await statusOf(mallory), 401);
});

test("with neither token: a bare Bearer challenge (RFC 6750 §3)", async () => {
  for (const json of [{}, { everywhere: true }]) {
    const reply = await logout(json);
    assertRefusal(reply, { status: 401, error: "missing_token" });
    assert.equal(reply.headers.get("www-authenticate"), "Bearer");
  }
});
