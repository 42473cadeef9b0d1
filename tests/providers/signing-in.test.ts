import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  formOf,
  PASSWORD,
  readable,
  type TestBrowser,
  testBrowser,
} from "../../packages/server/src/pages/test-browser.ts";
import { startTestServer, type TestServer } from "../../packages/server/src/test-server.ts";
import { CLIENT, type ForeignPerson, openPort, type Port, startForeignProvider } from "./foreign-provider.ts";
import { comeBack, follow, identities, setOut, setOutToConnect, whoIs } from "./visitor.ts";

/** A real OpenID provider (oidc-provider), and people who use it. */

const operator = { actor: "operator" } as const;
const ours = { "sec-fetch-site": "same-origin" };

let port: Port;
let server: TestServer;
let foreign: Awaited<ReturnType<typeof startForeignProvider>>;

before(async () => {
  port = await openPort();
  server = await startTestServer({ settings: { privateHosts: [port.host], siteName: "Orchard" } });
  foreign = await startForeignProvider(port, `${server.issuer}/sign-in/with/corp/callback`);
  const added = await server.app.providers.add(
    {
      preset: "oidc",
      id: "corp",
      label: "Corp",
      issuer: foreign.issuer,
      clientId: CLIENT.id,
      secret: CLIENT.secret,
      trustsEmail: true,
    },
    operator,
  );
  assert.equal(added.outcome, "added", JSON.stringify(added));
  server.secrets.add(CLIENT.secret);
});
after(async () => {
  await server.close();
  await port.close();
});

let count = 0;
/** Somebody new at the provider. */
function somebody(more: Partial<ForeignPerson> = {}): ForeignPerson {
  const sub = `person-${++count}`;
  const person = {
    sub,
    preferred_username: `anna${count}`,
    name: `Anna ${count}`,
    email: `anna${count}@corp.example`,
    email_verified: true,
    ...more,
  };
  if (person.email !== undefined) server.secrets.add(person.email);
  return person;
}

/** The whole way, and back. */
async function signInWith(person: ForeignPerson, given: { browser?: TestBrowser; returnTo?: string } = {}) {
  foreign.isNow(person);
  const { browser, url } = await setOut(server, "corp", given);
  return { browser, reply: await follow(browser, await foreign.visit(url.href)) };
}

test("a person whom nobody knows gets an account, and comes back to it by the same identity", async () => {
  const anna = somebody();
  const first = await signInWith(anna, { returnTo: "/account?from=shop" });
  assert.equal(first.reply.headers.get("location"), "/account?from=shop", readable(first.reply));
  assert.equal(await whoIs(server, first.browser), anna.preferred_username);
  const user = await server.app.users.find(anna.preferred_username ?? "");
  assert.equal(user?.email, anna.email);
  assert.equal(user?.emailVerified, true);
  assert.equal(user?.name, anna.name);
  // Another name, another address: still the same person.
  const again = await signInWith({ ...anna, preferred_username: "zoe", email: "zoe@corp.example" });
  assert.equal(again.reply.headers.get("location"), "/account");
  assert.equal(await whoIs(server, again.browser), anna.preferred_username);
  const sessions = await server.app.sessions.list({ userId: user?.id ?? "", alive: true });
  assert.deepEqual(
    sessions.map(({ kind, amr }) => [kind, amr]),
    [
      ["browser", ["fed"]],
      ["browser", ["fed"]],
    ],
  );
  const events = await server.app.audit.list({ userId: user?.id ?? "" });
  assert.deepEqual(events.map(({ type }) => type).reverse(), [
    "user.registered",
    "identity.linked",
    "session.started",
    "session.started",
  ]);
});

test("the sign-in page offers what is enabled, each by a form, and no longer what is disabled", async () => {
  const browser = testBrowser(server);
  const page = await browser.open("/sign-in?return_to=/shop");
  assert.match(readable(page), /Continue with Corp/);
  const fields = formOf(page, "/sign-in/with/corp");
  assert.equal(fields.return_to, "/shop");
  await server.app.providers.disable("corp", operator);
  const without = await browser.open("/sign-in");
  assert.doesNotMatch(readable(without), /Corp/);
  const refused = await browser.post("/sign-in/with/corp", fields, ours);
  assert.match(readable(refused), /There is no such way to sign in/);
  await server.app.providers.enable("corp", operator);
});

test("RFC 7636, OpenID Connect Core §3.1.2.1: PKCE, state and nonce go along every time, and are never the same", async () => {
  const [one, other] = [await setOut(server, "corp"), await setOut(server, "corp")];
  for (const name of ["state", "nonce", "code_challenge"]) {
    const values = [one, other].map(({ url }) => url.searchParams.get(name) ?? "");
    assert.match(values[0] ?? "", /^[A-Za-z0-9_-]{43}$/, name);
    assert.notEqual(values[0], values[1], name);
  }
  assert.equal(one.url.searchParams.get("code_challenge_method"), "S256");
  assert.equal(one.url.searchParams.get("redirect_uri"), `${server.issuer}/sign-in/with/corp/callback`);
  assert.equal(one.url.searchParams.get("client_secret"), null);
});

test("a name that is taken, or that is none here, is made into one", async () => {
  await server.addUser("berta");
  const { browser } = await signInWith(somebody({ preferred_username: "Berta" }));
  assert.match((await whoIs(server, browser)) ?? "", /^Berta-\d{1,4}$/);
  const odd = await signInWith(somebody({ preferred_username: "  <b>Søren Ø</b> @x " }));
  assert.equal(await whoIs(server, odd.browser), "b-Søren-Ø-b");
  const none = await signInWith(somebody({ preferred_username: "☃", name: "☃" }));
  assert.match((await whoIs(server, none.browser)) ?? "", /^user-\d{1,4}$/);
});

test("the same verified address is not linked by itself: the account must be proven first, then it is", async () => {
  const carla = somebody({ preferred_username: "carla" });
  await server.addUser("carla", { email: carla.email ?? "", emailVerified: true });
  const before = await server.rows();
  const { browser, reply } = await signInWith(carla, { returnTo: "/account?after" });
  assert.equal(reply.headers.get("location"), "/sign-in/connect");
  const page = await browser.follow(reply);
  assert.match(readable(page), /Sign in to Orchard to connect/);
  assert.doesNotMatch(readable(page), /new account/);
  assert.equal(await whoIs(server, browser), undefined);
  assert.equal(await server.rows(), before);

  // Nobody has proven anything: the form does nothing yet, not even for the one who has it.
  const early = await browser.submit(await browser.open("/sign-in"), "/sign-in", {
    username: "x",
    password: "y",
  });
  assert.equal(early.status, 401);
  const forged = formOf(await browser.open("/sign-in"), "/sign-in");
  const refused = await browser.post(
    "/sign-in/connect",
    { form_token: forged.form_token ?? "", act: "connect" },
    ours,
  );
  assert.equal(refused.headers.get("location"), "/sign-in/connect");
  assert.equal(await server.rows(), before);

  const signIn = await browser.open("/sign-in?as=someone-else&return_to=/sign-in/connect");
  const proven = await browser.submit(signIn, "/sign-in", { username: "carla", password: PASSWORD });
  const confirm = await browser.follow(proven);
  assert.match(readable(confirm), /will be able to sign in here as carla/);
  const connected = await browser.submit(confirm, "/sign-in/connect");
  assert.equal(connected.headers.get("location"), "/account?after");
  assert.ok((await identities(server)).includes("carla corp"));
  const again = await signInWith(carla);
  assert.equal(await whoIs(server, again.browser), "carla");
  // It was spent.
  assert.match(readable(await browser.open("/sign-in/connect")), /Nothing is waiting/);
});

test("who was signed in before the provider vouched has not proven the account", async () => {
  const dora = somebody({ preferred_username: "dora" });
  await server.addUser("dora", { email: dora.email ?? "", emailVerified: true });
  const browser = testBrowser(server);
  await server.addUser("guest");
  await browser.signIn("guest");
  const { reply } = await signInWith(dora, { browser });
  const page = await browser.follow(reply);
  assert.match(readable(page), /You have an account here/);
  const { form_token = "" } = formOf(await browser.open("/sign-in?as=someone-else"), "/sign-in");
  const before = await server.rows();
  await browser.post("/sign-in/connect", { form_token, act: "connect" }, ours);
  assert.equal(await server.rows(), before);
});

test("pre-hijacking: whoever registered a victim's address first neither gets the victim nor keeps them out", async () => {
  const victim = somebody({ preferred_username: "victim" });
  await server.call("/register", {
    json: { username: "attacker", password: PASSWORD, email: victim.email },
  });
  const { browser, reply } = await signInWith(victim);
  assert.equal(reply.headers.get("location"), "/sign-in/connect");
  const page = await browser.follow(reply);
  assert.match(readable(page), /Its address was never confirmed/);
  const made = await browser.submit(page, "/sign-in/connect", { act: "new" });
  assert.equal(made.headers.get("location"), "/account", readable(made));
  assert.equal(await whoIs(server, browser), "victim");
  const [attacker, own] = [await server.app.users.find("attacker"), await server.app.users.find("victim")];
  assert.equal(own?.email, undefined, "an address is one account's");
  assert.deepEqual(await server.app.identities.list(attacker?.id ?? ""), []);
});

test("an address that the provider does not call verified is not taken, and finds nobody", async () => {
  const eva = somebody({ preferred_username: "eva" });
  await server.addUser("eva", { email: eva.email ?? "", emailVerified: true });
  const { browser } = await signInWith({ ...eva, email_verified: false });
  const name = (await whoIs(server, browser)) ?? "";
  assert.match(name, /^eva-\d+$/);
  assert.equal((await server.app.users.find(name))?.email, undefined);
});

test("what a provider without trust calls verified is kept as not confirmed, and never matched", async () => {
  await server.app.providers.remove("corp", operator);
  const corp = {
    preset: "oidc",
    id: "corp",
    label: "Corp",
    issuer: foreign.issuer,
    clientId: CLIENT.id,
  } as const;
  await server.app.providers.add({ ...corp, secret: CLIENT.secret, trustsEmail: false }, operator);
  const fay = somebody({ preferred_username: "fay" });
  const free = await signInWith(fay);
  assert.equal(await whoIs(server, free.browser), "fay");
  assert.equal((await server.app.users.find("fay"))?.emailVerified, false);
  const thief = await signInWith(somebody({ preferred_username: "thief", email: fay.email ?? "" }));
  assert.equal(await whoIs(server, thief.browser), "thief");
  assert.equal((await server.app.users.find("thief"))?.email, undefined);
  await server.app.providers.remove("corp", operator);
  await server.app.providers.add({ ...corp, secret: CLIENT.secret, trustsEmail: true }, operator);
});

test("a signed-in user adds a provider, signs in by it, and takes it away again; one way in always stays", async () => {
  const gina = somebody({ preferred_username: "whatever" });
  await server.addUser("gina");
  const browser = testBrowser(server);
  await browser.signIn("gina");
  foreign.isNow(gina);
  const { url } = await setOutToConnect(browser, "corp");
  const reply = await follow(browser, await foreign.visit(url.href));
  assert.equal(reply.headers.get("location"), "/account?notice=connected");
  const page = await browser.follow(reply);
  assert.match(
    readable(page),
    /Connected accounts .* Corp anna\d+@corp\.example · Connected just now Disconnect/,
  );
  assert.equal(await whoIs(server, (await signInWith(gina)).browser), "gina");
  const gone = await browser.submit(page, "/account/connections/remove");
  assert.equal(gone.headers.get("location"), "/account?notice=disconnected");
  const events = await server.app.audit.list({ userId: (await server.app.users.find("gina"))?.id ?? "" });
  assert.ok(events.some(({ type }) => type === "identity.unlinked"));

  const hanna = await signInWith(somebody({ preferred_username: "hanna" }));
  const account = await hanna.browser.open("/account");
  const before = await server.rows();
  const kept = await hanna.browser.submit(account, "/account/connections/remove");
  assert.equal(kept.headers.get("location"), "/account?notice=disconnect-last");
  assert.equal(await server.rows(), before);
});

test("who came without a password sets one on the account page, once; then the provider may go", async () => {
  const { browser } = await signInWith(somebody({ preferred_username: "rosa" }));
  const account = await browser.open("/account");
  assert.match(readable(account), /You have no password here\. Set one/);
  const page = await browser.open("/account/password/first");
  const before = await server.rows();
  const weak = await browser.submit(page, "/account/password/first", { password: "short" });
  assert.equal(weak.status, 422);
  assert.equal(await server.rows(), before);
  const passwords = [PASSWORD, "another horse battery"];
  server.secrets.add("another horse battery");
  const replies = await Promise.all(
    passwords.map((password) => browser.submit(page, "/account/password/first", { password })),
  );
  const locations = replies.map(({ headers }) => headers.get("location")).sort();
  assert.deepEqual(locations, ["/account/password", "/account?notice=password-changed"]);
  const set =
    passwords[replies.findIndex(({ headers }) => headers.get("location") !== "/account/password")] ?? "";
  const late = await browser.submit(page, "/account/password/first", { password: "a third horse battery" });
  assert.equal(late.headers.get("location"), "/account/password");
  const gone = await browser.submit(await browser.open("/account"), "/account/connections/remove");
  assert.equal(gone.headers.get("location"), "/account?notice=disconnected");
  await testBrowser(server).signIn("rosa", set);
  const user = await server.app.users.find("rosa");
  const events = await server.app.audit.list({ userId: user?.id ?? "" });
  assert.equal(events.filter(({ type }) => type === "password.changed").length, 1);
});

test("of two removals at once of the last two ways in, one stays", async () => {
  const ida = somebody({ preferred_username: "ida" });
  const { browser } = await signInWith(ida);
  const user = await server.app.users.find("ida");
  const second = { issuer: foreign.issuer, subject: "second-ida", providerId: "corp", label: undefined };
  assert.equal(await server.app.identities.link(user?.id ?? "", second, { actor: "user" }), "linked");
  const page = await browser.open("/account");
  const ids = (await server.app.identities.list(user?.id ?? "")).map(({ id }) => id);
  const { form_token = "" } = formOf(page, "/account/connections/remove");
  const replies = await Promise.all(
    ids.map((identity) => browser.post("/account/connections/remove", { form_token, identity }, ours)),
  );
  assert.deepEqual(replies.map(({ headers }) => headers.get("location")).sort(), [
    "/account?notice=disconnect-last",
    "/account?notice=disconnected",
  ]);
  assert.equal((await server.app.identities.list(user?.id ?? "")).length, 1);
});

test("what is somebody's already is not connected to another account", async () => {
  const jana = somebody({ preferred_username: "jana" });
  await signInWith(jana);
  await server.addUser("karl");
  const browser = testBrowser(server);
  await browser.signIn("karl");
  foreign.isNow(jana);
  const { url } = await setOutToConnect(browser, "corp");
  const before = await server.rows();
  const reply = await follow(browser, await foreign.visit(url.href));
  assert.equal(reply.status, 409);
  assert.match(readable(reply), /That account is connected already/);
  assert.equal(await server.rows(), before);
});

test("two answers for one new person at the same moment make one account", async () => {
  const lena = somebody({ preferred_username: "lena" });
  foreign.isNow(lena);
  const visits = await Promise.all([setOut(server, "corp"), setOut(server, "corp")]);
  const answers = await Promise.all(visits.map(({ url }) => foreign.visit(url.href)));
  await Promise.all(visits.map(({ browser }, index) => follow(browser, answers[index] as URL)));
  const names = await Promise.all(visits.map(({ browser }) => whoIs(server, browser)));
  assert.deepEqual(names, ["lena", "lena"]);
  assert.equal((await identities(server)).filter((line) => line.startsWith("lena")).length, 1);
});

test("a disabled user is not let in by a provider", async () => {
  const mona = somebody({ preferred_username: "mona" });
  await signInWith(mona);
  const user = await server.app.users.find("mona");
  await server.app.users.disable(user?.id ?? "", operator);
  const { browser, reply } = await signInWith(mona);
  assert.match(readable(reply), /You cannot sign in/);
  assert.equal(await whoIs(server, browser), undefined);
});

test("who does not agree at the provider is told what to do next, without what it wrote", async () => {
  const { browser, state } = await setOut(server, "corp");
  const before = await server.rows();
  const reply = await comeBack(browser, "corp", {
    error: "access_denied",
    error_description: "<script>alert(1)</script>",
    state,
    iss: foreign.issuer,
  });
  assert.equal(reply.status, 403);
  assert.match(readable(reply), /You did not go on .* Sign in/);
  assert.doesNotMatch(reply.text, /alert/);
  assert.equal(await server.rows(), before);
});
