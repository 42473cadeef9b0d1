import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { formOf, readable } from "../../packages/server/src/pages/test-browser.ts";
import { startTestServer, stoppedClock, type TestServer } from "../../packages/server/src/test-server.ts";
import { addPasskey, addTotp } from "../../packages/server/src/users/factors/test-factors.ts";
import { openPort, type Port } from "./foreign-provider.ts";
import { startHostileProvider, TWIN } from "./hostile-provider.ts";
import { comeBack, setOut, whoIs } from "./visitor.ts";

/** Where providers and second factors meet: what a provider says is one factor, and one way in always stays. */

const operator = { actor: "operator" } as const;
const clock = stoppedClock();

let port: Port;
let server: TestServer;
let twin: Awaited<ReturnType<typeof startHostileProvider>>;

before(async () => {
  port = await openPort();
  twin = await startHostileProvider(port);
  server = await startTestServer({ clock, settings: { privateHosts: [port.host] } });
  server.secrets.add(TWIN.secret);
  const input = { preset: "oidc", id: "twin", label: "Twin", clientId: TWIN.id } as const;
  await server.app.providers.add({ ...input, secret: TWIN.secret, issuer: twin.issuer }, operator);
});
after(async () => {
  await server.close();
  await port.close();
});

async function comeByProvider() {
  const visit = await setOut(server, "twin");
  twin.knows(visit.url);
  const answer = { code: "a-code", state: visit.state, iss: twin.issuer };
  return { ...visit, reply: await comeBack(visit.browser, "twin", answer) };
}

async function newcomer() {
  const { browser } = await comeByProvider();
  const username = await whoIs(server, browser);
  const user = await server.app.users.find(username ?? "");
  assert.ok(user, "the provider's person has an account");
  return { browser, user };
}

test("a provider is gone when a passkey is there, and then the last passkey stays", async (context) => {
  const { browser, user } = await newcomer();
  context.after(() => server.app.users.remove(user.id, operator));
  const alone = await browser.submit(await browser.open("/account"), "/account/connections/remove");
  assert.equal(alone.headers.get("location"), "/account?notice=disconnect-last");
  await addPasskey(server, user);
  // Of who has a second factor, a provider's word alone is no fresh proof any more.
  const weak = await browser.submit(await browser.open("/account"), "/account/connections/remove");
  assert.match(weak.headers.get("location") ?? "", /^\/sign-in\?as=someone-else/);
  const strong = await server.app.arrivals.enter(user, {
    clientId: "first-party",
    kind: "browser",
    amr: ["hwk", "user", "mfa"],
  });
  assert.ok(strong);
  browser.cookies.set("keyturn", strong.credential);
  server.secrets.add(strong.credential);
  const gone = await browser.submit(await browser.open("/account"), "/account/connections/remove");
  assert.equal(gone.headers.get("location"), "/account?notice=disconnected");
  const page = await browser.open("/account/factors");
  assert.notEqual(formOf(page, "/account/factors/passkeys/remove").id, undefined);
  const kept = await browser.submit(page, "/account/factors/passkeys/remove");
  assert.equal(kept.headers.get("location"), "/account/factors?notice=passkey-last");
  assert.match(readable(await browser.follow(kept)), /only way to sign in/);
});

test("of two removals at once of a provider and a passkey, the last two ways in, one stays", async (context) => {
  const { user } = await newcomer();
  context.after(() => server.app.users.remove(user.id, operator));
  await addPasskey(server, user);
  const [identity] = await server.app.identities.list(user.id);
  const [passkey] = (await server.app.factors.ownedBy(user.id)).passkeys;
  assert.ok(identity && passkey);
  const by = { actor: "user" } as const;
  const outcomes = await Promise.all([
    server.app.identities.unlink(user.id, identity.id, by),
    server.app.factors.managing.removePasskey(user.id, passkey.id, by),
  ]);
  assert.equal(outcomes.filter((outcome) => outcome === "last_way_in").length, 1, outcomes.join());
});

test("who has a second factor is asked for it after a provider too: its word is one factor", async (context) => {
  const { user } = await newcomer();
  context.after(() => server.app.users.remove(user.id, operator));
  const { code } = await addTotp(server, user);
  const { browser, reply } = await comeByProvider();
  assert.match(reply.headers.get("location") ?? "", /^\/sign-in\/second-factor/);
  assert.equal(await whoIs(server, browser), undefined);
  clock.pass(60);
  const done = await browser.submit(await browser.follow(reply), "/sign-in/second-factor", {
    code: await code(60),
  });
  assert.equal(done.headers.get("location"), "/account");
  assert.equal(await whoIs(server, browser), user.username);
});
