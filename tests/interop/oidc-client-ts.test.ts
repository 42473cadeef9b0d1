import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import { networkErrors, useBrowser } from "../browser/browser.ts";
import { openHouse, password, username } from "./house.ts";

/** oidc-client-ts, unmodified, in Chromium: an application of pages alone, at an origin of its own. */

const library = new URL("../browser/oidc-client-ts.min.js", import.meta.resolve("oidc-client-ts"));
/** The page that a frame comes back to tells the page around it, as the library's manual has it. */
const page = `<!doctype html><html lang="en"><title>An application</title><link rel="icon" href="data:,">
<script src="/library.js"></script><main>the application</main>
<script>if (location.pathname === "/silent") new oidc.UserManager({ authority: "x", client_id: "x", redirect_uri: "x" }).signinSilentCallback()</script>`;
const site = createServer((request, response) => {
  const isLibrary = request.url === "/library.js";
  response.setHeader("content-type", isLibrary ? "text/javascript" : "text/html");
  response.end(isLibrary ? readFileSync(library) : page);
});
await new Promise<void>((done) => site.listen(0, "127.0.0.1", done));
const origin = `http://localhost:${(site.address() as AddressInfo).port}`;
// The same site as the application, as login.example.com and app.example.com are: for a frame has its cookie only there.
const house = await openHouse({ hostname: "localhost" });
after(async () => {
  site.closeAllConnections();
  await new Promise((done) => site.close(done));
});
const browser = useBrowser();

async function openApplication(t: TestContext, more: Record<string, unknown> = {}, isTrusted = false) {
  const { id } = await house.addClient("spa", {
    // Of a program on the device itself, people are asked every time: a frame could ask nobody. docs/adr/0022.
    keyturn_trusted: isTrusted,
    redirect_uris: [`${origin}/callback`, `${origin}/silent`, `${origin}/popup`],
    post_logout_redirect_uris: [`${origin}/out`],
  });
  const settings = {
    ...{ authority: house.issuer, client_id: id, scope: "openid profile email notes.read" },
    ...{ redirect_uri: `${origin}/callback`, silent_redirect_uri: `${origin}/silent` },
    ...{ popup_redirect_uri: `${origin}/popup`, post_logout_redirect_uri: `${origin}/out` },
    ...{ loadUserInfo: true, automaticSilentRenew: false, ...more },
  };
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const made = `{
    const { dpop, ...settings } = ${JSON.stringify(settings)};
    if (dpop) settings.dpop = { store: new oidc.IndexedDbDPoPStore() };
    settings.userStore = new oidc.WebStorageStateStore({ store: localStorage });
    window.manager = new oidc.UserManager(settings);
  }`;
  const tab = await visit.tab(origin);
  /** What the work of the page comes to, or its error. */
  async function run(work: string, at: Page = tab): Promise<unknown> {
    await at.evaluate(`if (!window.manager) ${made}`);
    return at.evaluate(`(async () => { try { ${work} } catch (error) { return String(error); } })()`);
  }
  return { visit, tab, run };
}

async function agree(tab: Page, isAsked = true): Promise<void> {
  await tab.getByLabel("Username or e-mail address").fill(username);
  await tab.getByLabel("Password").fill(password);
  await tab.getByRole("button", { name: "Sign in", exact: true }).click();
  if (isAsked) await tab.getByRole("button", { name: "Allow", exact: true }).click();
}

const toCall = (header: string) => `
  const user = await manager.getUser();
  const headers = { authorization: ${header} + user.access_token };
  return (await fetch(${JSON.stringify(house.api.url("/plain"))}, { headers })).status;`;

test("by redirect: signs in, loads userinfo, calls, refreshes, gives back and signs out", async (t) => {
  const { tab, run } = await openApplication(t);
  await run("manager.signinRedirect({ state: { deep: 1 } });");
  await agree(tab);
  await tab.waitForURL(`${origin}/callback?**`);
  const signedIn = `const user = await manager.signinRedirectCallback(); return [user.profile.sub, user.profile.email, user.state.deep];`;
  assert.deepEqual(await run(signedIn), [house.user.id, "alice@example.com", 1]);
  assert.equal(await run(toCall('"Bearer "')), 200);
  const renewed = `
    const before = await manager.getUser();
    const after = await manager.signinSilent();
    return [after.profile.sub, after.access_token !== before.access_token, after.refresh_token !== before.refresh_token];`;
  assert.deepEqual(await run(renewed), [house.user.id, true, true]);
  assert.equal(await run(toCall('"Bearer "')), 200);
  const token = String(await run("return (await manager.getUser()).access_token;"));
  await run("await manager.revokeTokens(['refresh_token']);");
  const call = () => fetch(house.api.url("/plain"), { headers: { authorization: `Bearer ${token}` } });
  await house.untilRefused(call);
  await run("manager.signoutRedirect({ state: 'bye' });");
  await tab.waitForURL(`${origin}/out?**`);
  assert.equal(await run("return (await manager.signoutRedirectCallback()).userState;"), "bye");
});

test("by popup, and then silently in a frame without a refresh token", async (t) => {
  const { visit, run } = await openApplication(t, { scope: "openid" }, true);
  const opened = visit.context.waitForEvent("page");
  const signedIn = run("return (await manager.signinPopup()).profile.sub;");
  const popup = await opened;
  await agree(popup, false);
  await popup.waitForURL(`${origin}/popup?**`);
  await run("void manager.signinPopupCallback();", popup).catch(() => {});
  assert.equal(await signedIn, house.user.id);
  const silent = `
    const user = await manager.getUser();
    user.refresh_token = undefined;
    await manager.storeUser(user);
    return (await manager.signinSilent()).profile.sub;`;
  assert.equal(await run(silent), house.user.id);
});

test("RFC 9449: with a key that cannot be exported, and the nonce that is asked for", async (t) => {
  // The library asks for userinfo by Bearer, whatever the token: RFC 9449 §7.2 has a bound one refused there.
  const { tab, run } = await openApplication(t, { dpop: true, loadUserInfo: false });
  await run("manager.signinRedirect();");
  await agree(tab);
  await tab.waitForURL(`${origin}/callback?**`);
  assert.equal(await run("return (await manager.signinRedirectCallback()).token_type;"), "DPoP");
  const call = `
    const user = await manager.getUser();
    const url = ${JSON.stringify(house.api.url("/plain"))};
    let status, nonce;
    for (let times = 0; times < 2 && status !== 200; times++) {
      const DPoP = await manager.dpopProof(url, user, "GET", nonce);
      const answer = await fetch(url, { headers: { authorization: "DPoP " + user.access_token, DPoP } });
      status = answer.status;
      nonce = answer.headers.get("dpop-nonce") ?? undefined;
    }
    return status;`;
  assert.equal(await run(call), 200);
  assert.equal(await run("return (await manager.signinSilent()).token_type;"), "DPoP");
  assert.equal(await run(call), 200);
});
