import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import { createSite } from "../../examples/spa/site.ts";
import { addTotp } from "../../packages/server/src/users/factors/test-factors.ts";
import { CLIENT, openPort, startForeignProvider } from "../providers/foreign-provider.ts";
import { bareTabAnswer, bareTabPath, bareTabUrl, call, signIn, username } from "./bare-tab.ts";
import { accessibilityProblems, networkErrors, useBrowser, type Visit } from "./browser.ts";
import { closeAfter } from "./closing.ts";
import { alice, openBareServer, openHouse } from "./house.ts";
import { startWire } from "./wire.ts";

/** Ways in that need a browser: passkeys by the authenticator that Chromium plays, and a provider that is left for. */

const browser = useBrowser();
const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

/** What a call of the page's client came to: who is signed in, or the code of its error. */
const outcome = (page: Page, work: string) =>
  page.evaluate(
    `(async () => { try { return await (async () => { ${work} })(); } catch (error) { return error.code ?? String(error); } })()`,
  );

/** A page at the issuer's own origin, by a name: a passkey is of a name, and of its issuer's pages. */
async function openAtHome(t: TestContext) {
  const named = (url: string) => url.replace("127.0.0.1", "localhost");
  const house = await openHouse(t, (origin) => ({ issuer: `${named(origin)}/auth` }));
  const visit = await browser.visit(t, { expected: [networkErrors] });
  return { house, visit, url: named(house.url) };
}

async function addAuthenticator(visit: Visit, page: Page) {
  const session = await visit.context.newCDPSession(page);
  await session.send("WebAuthn.enable");
  const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    verifies: (isUserVerified: boolean) =>
      session.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified }),
    answers: (enabled: boolean) =>
      session.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled }),
  };
}

for (const mode of ["token", "cookie"] as const) {
  test(`${mode} mode: a passkey is added, signs in without a name, proves again, and is the second step`, async (t) => {
    const { visit, url } = await openAtHome(t);
    const page = await visit.tab(bareTabUrl(url, { mode }));
    const authenticator = await addAuthenticator(visit, page);
    await signIn(page, alice);
    const added = await outcome(page, 'return await keyturn.addSignIn({ passkey: { name: "phone" } })');
    assert.equal((added as { recoveryCodes: string[] }).recoveryCodes?.length, 10, String(added));
    // Now there are two factors, and this session has proven one.
    const more = 'return await keyturn.addSignIn({ passkey: { name: "laptop" } })';
    assert.equal(await outcome(page, more), "step_up_required");
    assert.equal(
      await outcome(page, "await keyturn.proveAgain({ passkey: true }); return 'proven'"),
      "proven",
    );
    assert.equal(await call(page), 200);
    // The authenticator holds one for this account already.
    assert.equal(await outcome(page, more), "no_passkey");

    await page.evaluate(() => window.keyturn.signOut());
    assert.equal(await username(page), undefined);
    const byPasskey = 'return (await keyturn.signIn({ passkey: true, device: "a tab" })).user.username';
    assert.equal(await outcome(page, byPasskey), "alice");
    assert.equal(await call(page), 200);

    await page.evaluate(() => window.keyturn.signOut());
    const second = `try { await keyturn.signIn(${JSON.stringify(alice)}); } catch (error) {
      window.step = error.secondStep;
      return [error.code, ...step.methods].join(" ");
    }`;
    assert.equal(await outcome(page, second), "second_factor_required passkey recovery_code");
    await authenticator.verifies(false);
    assert.equal(await outcome(page, "return await step.passkey()"), "no_passkey");
    await authenticator.verifies(true);
    assert.equal(await outcome(page, "return (await step.passkey()).user.username"), "alice");
    assert.equal(await call(page), 200);
  });
}

test("conditional UI: passkeys are offered where a name is typed, until one is taken or the page wants no more", async (t) => {
  const { visit, url } = await openAtHome(t);
  const page = await visit.tab(bareTabUrl(url));
  const authenticator = await addAuthenticator(visit, page);
  await signIn(page, alice);
  await outcome(page, "return await keyturn.addSignIn({ passkey: {} })");
  await page.evaluate(() => window.keyturn.signOut());
  await authenticator.answers(false);
  const offer = `window.stop = new AbortController();
    window.offer = keyturn.signIn({ passkey: "conditional", signal: stop.signal }).then((one) => one.user.username, (error) => error.name);`;
  await outcome(page, `${offer} stop.abort();`);
  assert.equal(await outcome(page, "return await offer"), "AbortError");
  await authenticator.answers(true);
  await outcome(page, offer);
  assert.equal(await outcome(page, "return await offer"), "alice");
});

test("browsers that cannot read or write options as JSON are helped", async (t) => {
  const { visit, url } = await openAtHome(t);
  const page = await visit.context.newPage();
  await page.addInitScript(() => {
    const old = PublicKeyCredential as unknown as Record<string, unknown>;
    delete old.parseRequestOptionsFromJSON;
    delete old.parseCreationOptionsFromJSON;
    delete (PublicKeyCredential.prototype as unknown as Record<string, unknown>).toJSON;
  });
  await addAuthenticator(visit, page);
  await page.goto(bareTabUrl(url));
  await page.locator('html:not([data-ready="no"])').waitFor();
  await signIn(page, alice);
  const added = await outcome(page, "return (await keyturn.addSignIn({ passkey: {} })).recoveryCodes.length");
  assert.equal(added, 10);
  assert.equal(
    await outcome(page, "return (await keyturn.signIn({ passkey: true })).user.username"),
    "alice",
  );
});

/** An app at an origin of its own, which the operator trusts, and a provider that is another site. */
async function openElsewhere(t: TestContext) {
  const port = await openPort();
  closeAfter(t, port.close);
  const app = await startWire();
  closeAfter(t, app.close);
  const origin = app.url.replace("127.0.0.1", "localhost");
  const settings = { privateHosts: [port.host], allowedOrigins: [origin] };
  const server = await openBareServer(t, { hostname: "localhost", settings });
  const foreign = await startForeignProvider(port, `${server.issuer}/sign-in/with/corp/callback`);
  await server.app.providers.add(
    {
      ...{ preset: "oidc", id: "corp", label: "Corp", issuer: foreign.issuer },
      ...{ clientId: CLIENT.id, secret: CLIENT.secret },
    },
    { actor: "operator" },
  );
  foreign.isNow({ sub: "1", preferred_username: "nora" });
  const site = createSite({ guard: server.app.guard, issuer: server.issuer });
  app.connect((request, connection) =>
    new URL(request.url).pathname === bareTabPath ? bareTabAnswer() : site.fetch(request, connection),
  );
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const at = (mode: "token" | "cookie") => bareTabUrl(origin, { issuer: server.issuer, mode });
  return { server, foreign, visit, origin, at };
}

/** Is led to the provider, agrees there, and comes back. */
async function goByProvider(page: Page, origin: string): Promise<void> {
  await page.evaluate(() => void window.keyturn.signIn({ provider: "corp" }));
  await press(page, "Continue with Corp");
  await page.waitForURL((url) => url.origin === origin);
  await page.locator('html:not([data-ready="no"])').waitFor();
}

test("token mode: an app elsewhere is led to a provider and back, gets a code and no token in its address, and takes it once", async (t) => {
  const { server, visit, origin, at } = await openElsewhere(t);
  const page = await visit.tab(at("token"));
  const addresses: string[] = [];
  page.on("framenavigated", (frame) => addresses.push(frame.url()));
  await goByProvider(page, origin);
  const returned = page.url();
  server.secrets.add(new URL(returned).searchParams.get("keyturn_code") ?? "no code came back");
  assert.equal(await outcome(page, "return (await keyturn.finishSignIn()).user.username"), "nora");
  assert.doesNotMatch(page.url(), /keyturn_/, "the code is taken out of the address");
  assert.equal(await username(page), "nora");
  const [session, ...others] = await server.app.sessions.list({ alive: true });
  assert.deepEqual([session?.kind, session?.amr, others.length], ["app", ["fed"], 0]);
  assert.ok(session?.keyThumbprint, "bound to the key that was made before the page was left");
  for (const address of addresses) assert.doesNotMatch(address, /eyJ|krt_|kts_|ktt_/);
  // A reload of the address, in this browser or another, brings nothing.
  assert.equal(
    await outcome(page, `return await keyturn.finishSignIn(${JSON.stringify(returned)})`),
    "invalid_handover",
  );
  const other = await (await browser.visit(t, { expected: [networkErrors] })).tab(at("token"));
  assert.equal(
    await outcome(other, `return await keyturn.finishSignIn(${JSON.stringify(returned)})`),
    "invalid_handover",
  );
  assert.equal(await username(page), "nora");
});

test("token mode: a code that somebody else began is not taken, and signs nobody in", async (t) => {
  const { server, visit, origin, at } = await openElsewhere(t);
  const attacker = await visit.tab(at("token"));
  await goByProvider(attacker, origin);
  const lure = attacker.url();
  server.secrets.add(new URL(lure).searchParams.get("keyturn_code") ?? "");
  const victim = await (await browser.visit(t, { expected: [networkErrors] })).tab(at("token"));
  // Who has begun a way of their own, too: the state is another's.
  await victim.evaluate(() => void window.keyturn.signIn({ provider: "corp" }));
  await victim.waitForURL(/\/sign-in\/with\/corp/);
  await victim.goto(lure);
  await victim.locator('html:not([data-ready="no"])').waitFor();
  assert.equal(await outcome(victim, "return await keyturn.finishSignIn()"), "invalid_handover");
  assert.equal(await username(victim), undefined);
});

test("token mode: who has a second factor proves it on the way, and the app's session says two factors", async (t) => {
  const { server, visit, origin, at } = await openElsewhere(t);
  const page = await visit.tab(at("token"));
  await goByProvider(page, origin);
  server.secrets.add(new URL(page.url()).searchParams.get("keyturn_code") ?? "");
  await outcome(page, "return await keyturn.finishSignIn()");
  const user = await server.app.users.find("nora");
  assert.ok(user);
  const { recoveryCodes } = await addTotp(server, user);
  await page.evaluate(() => void window.keyturn.signIn({ provider: "corp" }));
  await press(page, "Continue with Corp");
  await page.getByLabel("Code").fill(recoveryCodes[0] ?? "");
  await press(page, "Sign in");
  await page.waitForURL((url) => url.origin === origin);
  await page.locator('html:not([data-ready="no"])').waitFor();
  server.secrets.add(new URL(page.url()).searchParams.get("keyturn_code") ?? "");
  assert.equal(await outcome(page, "return (await keyturn.finishSignIn()).user.username"), "nora");
  const [newest] = await server.app.sessions.list({ alive: true });
  assert.deepEqual([newest?.kind, newest?.amr], ["app", ["fed", "otp", "mfa"]]);
});

test("cookie mode: an app elsewhere is led to a provider and back, and who is signed in connects one", async (t) => {
  const { server, visit, origin, at } = await openElsewhere(t);
  const page = await visit.tab(at("cookie"));
  await goByProvider(page, origin);
  assert.doesNotMatch(page.url(), /keyturn_/);
  assert.equal(await outcome(page, "return (await keyturn.finishSignIn()).user.username"), "nora");
  const nora = await server.app.users.find("nora");
  await server.app.users.remove(nora?.id ?? "", { actor: "operator" });
  await server.addUser("pia");
  await page.evaluate(() => window.keyturn.signOut());
  await signIn(page, { ...alice, username: "pia" });
  await page.evaluate(() => void window.keyturn.addSignIn({ provider: "corp" }));
  await page.getByRole("button", { name: "Connect Corp" }).waitFor();
  assert.deepEqual(await accessibilityProblems(page), []);
  await press(page, "Connect Corp");
  await page.waitForURL((url) => url.origin === origin);
  await page.locator('html:not([data-ready="no"])').waitFor();
  assert.equal(await username(page), "pia");
  const pia = await server.app.users.find("pia");
  const identities = await server.app.identities.list(pia?.id ?? "");
  assert.deepEqual(
    identities.map(({ providerId }) => providerId),
    ["corp"],
  );
});
