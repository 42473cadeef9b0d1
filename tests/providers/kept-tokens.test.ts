import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { createSecrets } from "../../packages/server/src/keys/secrets.ts";
import { testBrowser } from "../../packages/server/src/pages/test-browser.ts";
import { createKeptTokens } from "../../packages/server/src/providers/kept-tokens.ts";
import {
  type KeptSeal,
  leaseAll,
  putSeal,
  selectSeals,
} from "../../packages/server/src/providers/test-kept-tokens.ts";
import { startTestServer, type TestServer } from "../../packages/server/src/test-server.ts";
import { CLIENT, openPort, type Port, startForeignProvider } from "./foreign-provider.ts";
import { follow, setOut, setOutToConnect } from "./visitor.ts";

/** Tokens of a real OpenID provider (oidc-provider) whose refresh tokens rotate, kept for the embedding application. */

const operator = { actor: "operator" } as const;
const HOUR = 3600;
let ahead = 0;
const clock = { now: () => Date.now() + ahead * 1000 };

let port: Port;
let server: TestServer;
let foreign: Awaited<ReturnType<typeof startForeignProvider>>;

before(async () => {
  port = await openPort();
  server = await startTestServer({ clock, settings: { privateHosts: [port.host] } });
  server.secrets.add(CLIENT.secret);
  foreign = await startForeignProvider(port, `${server.issuer}/sign-in/with/corp/callback`);
  const added = await server.app.providers.add(
    { preset: "oidc", id: "corp", issuer: foreign.issuer, clientId: CLIENT.id, secret: CLIENT.secret },
    operator,
  );
  assert.equal(added.outcome, "added");
});
beforeEach(async () => {
  ahead = 0;
  await server.app.providers.keepTokens("corp", true, operator);
});
after(async () => {
  await server.close();
  await port.close();
});

let count = 0;
async function signIn(sub = `kept-${++count}`) {
  foreign.isNow({ sub, preferred_username: sub });
  const { browser, url } = await setOut(server, "corp");
  const reply = await follow(browser, await foreign.visit(url.href));
  assert.equal(reply.headers.get("location"), "/account");
  const user = await server.app.users.find(sub);
  assert.ok(user);
  return { userId: user.id, url, browser, sub };
}

const rows = () => server.app.database.all<KeptSeal>(selectSeals);
const find = async (userId: string, among = server.app.keptTokens) => {
  const result = await among.find({ userId, provider: "corp" });
  if (result.outcome === "found")
    for (const secret of [result.tokens.accessToken, result.tokens.idToken])
      if (secret) server.secrets.add(secret);
  return result;
};
async function found(userId: string, among = server.app.keptTokens) {
  const result = await find(userId, among);
  assert.ok(result.outcome === "found", JSON.stringify(result));
  return result.tokens;
}
async function whose(accessToken: string): Promise<string> {
  const reply = await fetch(`${foreign.issuer}/me`, { headers: { authorization: `Bearer ${accessToken}` } });
  return (await reply.json()).sub;
}

test("nothing is kept, and nothing asked for, unless the operator wants it", async () => {
  await server.app.providers.keepTokens("corp", false, operator);
  const { userId, url } = await signIn();
  assert.equal(url.searchParams.get("scope"), "openid profile email");
  assert.equal(url.searchParams.get("prompt"), null);
  assert.deepEqual(await rows(), []);
  assert.deepEqual(await find(userId), { outcome: "not_kept" });
});

test("a sign-in keeps them, sealed: no table shows any of them", async () => {
  const { userId, url, sub } = await signIn();
  assert.equal(url.searchParams.get("scope"), "openid profile email offline_access");
  const tokens = await found(userId);
  assert.equal(await whose(tokens.accessToken), sub);
  assert.ok((tokens.expiresAt ?? 0) > clock.now());
  assert.match(tokens.idToken ?? "", /^eyJ/);
  const [row] = await rows();
  assert.ok(row);
  assert.ok(!Buffer.from(row.sealed).includes(tokens.accessToken));
  const events = JSON.stringify(await server.app.audit.list({ userId }));
  assert.ok(!events.includes(tokens.accessToken));
});

test("what is sealed for one person opens for nobody else", async () => {
  const [one, other] = [await signIn(), await signIn()];
  const all = await rows();
  const before = await found(one.userId);
  const [a, b] = all.slice(-2);
  assert.ok(a && b);
  await server.app.database.batch([putSeal(a, b.sealed), putSeal(b, a.sealed)]);
  assert.deepEqual(await find(one.userId), { outcome: "expired" });
  assert.deepEqual(await find(other.userId), { outcome: "expired" });
  await server.app.database.batch([putSeal(a, a.sealed), putSeal(b, b.sealed)]);
  assert.deepEqual(await found(one.userId), before);
});

test("whoever connects a provider has its tokens kept too, and they go with it", async () => {
  await server.addUser("linker");
  const browser = testBrowser(server);
  await browser.signIn("linker");
  foreign.isNow({ sub: "linked" });
  const { url } = await setOutToConnect(browser, "corp");
  await follow(browser, await foreign.visit(url.href));
  const user = await server.app.users.find("linker");
  const userId = user?.id ?? "";
  assert.equal(await whose((await found(userId)).accessToken), "linked");
  const before = (await rows()).length;
  const [identity] = await server.app.identities.list(userId);
  assert.equal(await server.app.identities.unlink(userId, identity?.id ?? "", operator), "unlinked");
  assert.equal((await rows()).length, before - 1);
  assert.deepEqual(await find(userId), { outcome: "not_linked" });
});

test("RFC 6749 §6: tokens that are about to end are renewed, again and again, with the refresh token that came last", async () => {
  const { userId, sub } = await signIn();
  let last = (await found(userId)).accessToken;
  for (let round = 1; round <= 3; round++) {
    ahead += HOUR;
    const renewals = foreign.renewals();
    const { accessToken } = await found(userId);
    assert.notEqual(accessToken, last);
    assert.equal(foreign.renewals(), renewals + 1);
    assert.equal(await whose(accessToken), sub);
    assert.equal((await found(userId)).accessToken, accessToken, "good ones are not renewed");
    last = accessToken;
  }
});

test("of many who ask at once, at two nodes, one renews: a refresh token that rotates is used once", async () => {
  const other = await startTestServer({ clock, beside: server, settings: { privateHosts: [port.host] } });
  try {
    const { userId } = await signIn();
    await found(userId);
    ahead += HOUR;
    const renewals = foreign.renewals();
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, n) => found(userId, (n % 2 ? other : server).app.keptTokens)),
    );
    assert.equal(new Set(all.map(({ accessToken }) => accessToken)).size, 1);
    assert.equal(foreign.renewals(), renewals + 1);
    ahead += HOUR;
    await found(userId);
  } finally {
    await other.close();
  }
});

test("a renewal that its process did not live to write down holds up the next one for seconds, not for ever", async () => {
  const { userId } = await signIn();
  ahead += HOUR;
  const until = clock.now() + 400;
  await server.app.database.batch([leaseAll(until)]);
  await found(userId);
  assert.ok(clock.now() >= until);
});

test("RFC 6749 §5.2: invalid_grant ends them, is told in the audit log, and signing in again brings new ones", async () => {
  const { userId, sub } = await signIn();
  await found(userId);
  ahead += HOUR;
  await foreign.forgetsGrants();
  assert.deepEqual(await find(userId), { outcome: "expired" });
  assert.deepEqual(await find(userId), { outcome: "not_kept" });
  const [event] = await server.app.audit.list({ userId });
  assert.deepEqual([event?.type, event?.detail], ["identity.tokens_over", { provider: "corp" }]);
  ahead = 0;
  await signIn(sub);
  await found(userId);
});

test("a provider that does not answer changes nothing; what is still good is given meanwhile", async (t) => {
  const { userId } = await signIn();
  const { accessToken, expiresAt = 0 } = await found(userId);
  const away = startAway(t);
  ahead = Math.floor((expiresAt - Date.now()) / 1000) - 20;
  assert.equal((await found(userId)).accessToken, accessToken);
  ahead += 60;
  assert.deepEqual(await find(userId), { outcome: "unavailable" });
  away.isBack();
  assert.notEqual((await found(userId)).accessToken, accessToken);
});

test("a disabled provider is not asked", async () => {
  const { userId } = await signIn();
  ahead += HOUR;
  await server.app.providers.disable("corp", operator);
  assert.deepEqual(await find(userId), { outcome: "unavailable" });
  await server.app.providers.enable("corp", operator);
  await found(userId);
});

test("a sign-in that brings no refresh token leaves the one that is there", async () => {
  const { userId, sub } = await signIn();
  const tokens = {
    accessToken: "without-refresh",
    tokenType: "bearer",
    expiresAt: clock.now() + HOUR * 1000,
  };
  const person = {
    issuer: foreign.issuer,
    subject: sub,
    username: undefined,
    name: undefined,
    email: undefined,
  };
  const corp = { id: "corp", keepsTokens: true };
  const statements = await server.app.keptTokens.statementsFor(corp, { ...person, tokens }, userId);
  await server.app.database.batch(statements);
  assert.equal((await found(userId)).accessToken, "without-refresh");
  ahead += HOUR;
  assert.equal(await whose((await found(userId)).accessToken), sub);
});

test("tokens that are longer than what is kept are left out, and the sign-in is as good as ever", async () => {
  const { userId, sub } = await signIn();
  const before = await found(userId);
  const tokens = { accessToken: "a".repeat(40_000), tokenType: "bearer" };
  const person = {
    issuer: foreign.issuer,
    subject: sub,
    username: undefined,
    name: undefined,
    email: undefined,
  };
  const corp = { id: "corp", keepsTokens: true };
  assert.deepEqual(await server.app.keptTokens.statementsFor(corp, { ...person, tokens }, userId), []);
  assert.deepEqual(await found(userId), before);
});

test("switching it off deletes what is kept, and so does removing the provider", async () => {
  const { userId } = await signIn();
  await found(userId);
  assert.equal(await server.app.providers.keepTokens("corp", false, operator), true);
  assert.equal(await server.app.providers.keepTokens("corp", false, operator), false);
  assert.deepEqual(await rows(), []);
  const types = (await server.app.audit.list({})).map(({ type }) => type);
  assert.equal(types.filter((type) => type === "provider.keeps_no_tokens").length, 2);
  // An answer of a provider that began before the switch keeps nothing either: the statement asks itself.
  const person = {
    issuer: foreign.issuer,
    subject: "x",
    username: undefined,
    name: undefined,
    email: undefined,
  };
  const tokens = { accessToken: "late", tokenType: "bearer" };
  const late = { id: "corp", keepsTokens: true };
  await server.app.database.batch(
    await server.app.keptTokens.statementsFor(late, { ...person, tokens }, userId),
  );
  assert.deepEqual(await rows(), []);
});

test("after the master secret has changed they open while the old one is listed, and are sealed anew", async () => {
  const { userId } = await signIn();
  await found(userId);
  const { database } = server.app;
  const [old, next] = [Buffer.alloc(32, 7), Buffer.alloc(32, 9)];
  const log = { warn() {}, error() {} } as never;
  const under = (...masters: Buffer[]) =>
    createKeptTokens({
      database,
      clock,
      log,
      secrets: createSecrets(masters),
      providers: server.app.providers,
      foreign: { renew: async () => assert.fail("nothing is to be renewed") },
    });
  const person = {
    issuer: foreign.issuer,
    subject: `kept-${count}`,
    username: undefined,
    name: undefined,
    email: undefined,
  };
  const tokens = { accessToken: "of the old secret", tokenType: "bearer" };
  const corp = { id: "corp", keepsTokens: true };
  await database.batch(await under(old).statementsFor(corp, { ...person, tokens }, userId));
  assert.deepEqual((await under(next).find({ userId, provider: "corp" })).outcome, "expired");
  const both = under(next, old);
  assert.equal((await found(userId, both)).accessToken, "of the old secret");
  assert.ok((await both.sealAnew()) >= 1);
  assert.equal(await both.sealAnew(), 0);
  assert.equal((await found(userId, under(next))).accessToken, "of the old secret");
});

test("nobody of that name, and no such provider, have nobody there", async () => {
  for (const userId of ["nobody", "01a2091b-7f0f-7d30-bc99-dae8c5045318"])
    assert.deepEqual(await find(userId), { outcome: "not_linked" });
});

/** Has the provider answer 503 until it is back. */
function startAway(t: { after(done: () => void): void }) {
  const back = port.away();
  t.after(back);
  return { isBack: back };
}
