import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addClient,
  answerOf,
  authorizePath,
  type Browser,
  CALLBACK,
  codeFor,
  decide,
  decideByProgram,
  exchange,
  type Parameters,
  requestOf,
  signedIn,
  type TestClient,
} from "../oauth/test-oauth.ts";
import { startTestServer } from "../test-server.ts";
import { authorizePage, DECIDE } from "./test-authorize.ts";
import { formOf, PASSWORD, readable, testBrowser } from "./test-browser.ts";

/** What people are asked when an application sends them here, and what they are spared. */

const { clock, server, challenge, ask, agreed, isSignIn, signInAt, codeIn } = authorizePage();

test("the whole way: sign in, agree, and back to the application with a code, its state and iss", async () => {
  const shop = await addClient(server());
  const browser = testBrowser(server());
  const asked = await signInAt(browser, await ask(browser, shop, { login_hint: "alice" }), "alice");
  assert.match(readable(asked), /Shop asks for access/);
  assert.match(readable(asked), /You are signed in as alice/);
  assert.match(readable(asked), /Know that it is you.*See your name/);
  assert.match(readable(asked), /You will go on to app\.example\./);
  const answer = answerOf(await decideByProgram(browser, asked, "allow"), CALLBACK);
  assert.ok(answer.code);
  server().secrets.add(answer.code);
  assert.deepEqual(Object.keys(answer), ["code", "state", "iss"]);
  // Once is enough.
  codeIn(await ask(browser, shop));
  const user = await server().app.users.find("alice");
  const events = await server().app.audit.list({ userId: user?.id ?? "" });
  assert.equal(events.filter(({ type }) => type === "consent.granted").length, 1);
});

test("who says no gives nothing: the application is told, and the request is over", async () => {
  const shop = await addClient(server());
  const browser = await signedIn(server(), "alice");
  const page = await ask(browser, shop);
  const answer = answerOf(await decideByProgram(browser, page, "deny"), CALLBACK);
  assert.deepEqual([answer.error, answer.state, answer.iss], ["access_denied", "a-state", server().issuer]);
  const again = await decideByProgram(browser, page, "allow");
  assert.equal(again.status, 400);
  assert.match(readable(again), /Please begin again/);
  assert.equal((await ask(browser, shop)).status, 200, "and it is asked the next time");
});

test("consent is asked again when it grows, and not when it shrinks", async () => {
  const metadata = { keyturn_resources: ["https://consent.example/"], scope: "harvest" };
  await server().app.clients.add({ name: "Consent API", type: "resource", metadata }, { actor: "operator" });
  const shop = await addClient(server());
  const browser = await signedIn(server(), "alice");
  await agreed(browser, shop, { scope: "openid read" });
  codeIn(await ask(browser, shop, { scope: "openid" }));
  const grown = await ask(browser, shop, { scope: "openid read write" });
  assert.match(readable(grown), /Use write/);
  codeIn(await decideByProgram(browser, grown, "allow"));
  codeIn(await ask(browser, shop, { scope: "openid read write" }));
  const elsewhere = await ask(browser, shop, { resource: "https://consent.example/" });
  assert.match(readable(elsewhere), /At https:\/\/consent\.example\//);
  codeIn(await decideByProgram(browser, elsewhere, "allow"));
  codeIn(await ask(browser, shop, { resource: "https://consent.example/" }));
  // It is each user's own.
  assert.equal((await ask(await signedIn(server(), "bob"), shop)).status, 200);
});

test("prompt=consent asks although it was agreed to; a client that the operator vouches for is not asked about", async () => {
  const shop = await addClient(server());
  const trusted = await addClient(server(), { metadata: { keyturn_trusted: true } });
  const browser = await signedIn(server(), "alice");
  await agreed(browser, shop);
  const page = await ask(browser, shop, { prompt: "consent" });
  assert.equal(page.status, 200);
  codeIn(await decideByProgram(browser, page, "allow"));
  codeIn(await ask(browser, trusted));
  assert.equal((await ask(browser, trusted, { prompt: "consent" })).status, 200);
});

test("RFC 8252 §8.6: what any program on the device could claim to be is asked about every time", async () => {
  for (const uri of ["http://127.0.0.1/cb", "com.example.desk:/cb"]) {
    const desk = await addClient(server(), {
      name: "Desk",
      type: "native",
      metadata: { redirect_uris: [uri] },
    });
    const browser = await signedIn(server(), "alice");
    const page = await ask(browser, desk);
    assert.match(readable(page), /You will go on to an? (program|app) on this device/);
    const reply = await decideByProgram(browser, page, "allow");
    assert.match(reply.headers.get("location") ?? "", /[?&]code=/);
    assert.equal((await ask(browser, desk)).status, 200, uri);
    const silent = await ask(browser, desk, { prompt: "none" });
    assert.match(silent.headers.get("location") ?? "", /error=consent_required/);
  }
});

test("a client that has registered itself is said to be unchecked, with the host that it leads to; nothing of its is loaded", async () => {
  const metadata = {
    redirect_uris: ["https://bank.example.evil.example/cb"],
    logo_uri: "https://evil.example/logo.png",
    client_uri: "https://bank.example/",
  };
  const dynamic = await addClient(server(), { name: "Your bank", metadata, origin: "dynamic" });
  const page = await ask(await signedIn(server(), "alice"), dynamic);
  assert.match(readable(page), /You will go on to bank\.example\.evil\.example\./);
  assert.match(readable(page), /Nobody on this site has checked this application/);
  assert.doesNotMatch(page.text, /logo\.png|<img/);
});

test("names and scopes that clients choose are text, and nothing else", async () => {
  const evil = await addClient(server(), { name: `<script>alert(1)</script>"'&` });
  const page = await ask(await signedIn(server(), "alice"), evil);
  assert.doesNotMatch(page.text, /<script/);
  assert.match(readable(page), /<script>alert\(1\)<\/script>"'& asks for access/);
});

test("a browser that comes from a page of ours is led on by a page, for form-action holds redirects after a form", async () => {
  const shop = await addClient(server());
  const browser = await signedIn(server(), "alice");
  const page = await decide(browser, await ask(browser, shop), "allow");
  assert.equal(page.status, 200);
  const [, refresh = ""] = /<meta http-equiv="refresh" content="0; url=([^"]*)">/.exec(page.text) ?? [];
  const [, link] = /<a class="button" href="([^"]*)">/.exec(page.text) ?? [];
  assert.equal(refresh, link);
  const url = new URL(refresh.replaceAll("&amp;", "&"));
  assert.equal(url.origin + url.pathname, CALLBACK);
  server().secrets.add(url.searchParams.get("code") ?? "");
  assert.equal(url.searchParams.get("iss"), server().issuer);
  const path = authorizePath(requestOf(shop, challenge));
  assert.equal((await browser.open(path, { "sec-fetch-site": "same-origin" })).status, 200);
  for (const site of ["cross-site", "none", "same-site"]) {
    codeIn(await browser.open(path, { "sec-fetch-site": site }));
  }
  // An application on this very origin that looks in a frame who is there.
  codeIn(await browser.open(path, { "sec-fetch-site": "same-origin", "sec-fetch-dest": "iframe" }));
});

test("OAuth 2.0 Form Post Response Mode: the answer comes as a form that sends itself, or a button does, and this page alone may send one elsewhere", async () => {
  const shop = await addClient(server());
  const browser = await signedIn(server(), "alice");
  await agreed(browser, shop);
  const page = await ask(browser, shop, { response_mode: "form_post", state: `"><b>` });
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-security-policy") ?? "", /form-action https:; /);
  const [, script = ""] = /<script src="([^"]*)" defer>/.exec(page.text) ?? [];
  assert.match((await server().call(script)).text, /auto-submitted/);
  assert.match(page.text, /<form method="post" action="https:\/\/app\.example\/callback">/);
  const value = (name: string) => new RegExp(`name="${name}" value="([^"]*)"`).exec(page.text)?.[1] ?? "";
  server().secrets.add(value("code"));
  assert.match(value("code"), /^[\w-]{43}$/);
  assert.equal(value("state"), "&quot;&gt;&lt;b&gt;");
  assert.equal(value("iss"), server().issuer);
  assert.doesNotMatch(page.text, /form_token/);
  const error = await ask(testBrowser(server()), shop, { response_mode: "form_post", prompt: "none" });
  assert.match(error.text, /name="error" value="login_required"/);
});

test("ASVS 3.5.1: a decision that another site sends, or that has no good token, decides nothing", async () => {
  const shop = await addClient(server());
  const browser = await signedIn(server(), "alice");
  const page = await ask(browser, shop);
  const fields = { ...formOf(page, DECIDE), decision: "allow" };
  for (const headers of [{ "sec-fetch-site": "cross-site" }, { origin: "https://evil.example" }]) {
    const reply = await browser.post(DECIDE, fields, headers);
    assert.equal(reply.status, 403);
  }
  for (const form_token of [
    "",
    "x",
    formOf(await ask(await signedIn(server(), "bob"), shop), DECIDE).form_token ?? "",
  ]) {
    const reply = await browser.post(DECIDE, { ...fields, form_token });
    assert.equal(reply.status, 200, "the question again");
    assert.match(readable(reply), /Shop asks for access/);
  }
  const odd = await browser.post(DECIDE, { ...fields, decision: "perhaps" });
  assert.equal(odd.status, 400);
  codeIn(await browser.post(DECIDE, fields));
});

test("who has signed out, or in as somebody else, since the question was shown is asked anew", async () => {
  const shop = await addClient(server());
  const browser = await signedIn(server(), "alice");
  const page = await ask(browser, shop);
  await browser.signIn("bob");
  const asked = await decideByProgram(browser, page, "allow");
  assert.match(readable(asked), /You are signed in as bob/);
  browser.cookies.clear();
  isSignIn(await decideByProgram(browser, asked, "allow"));
});

test("what is agreed to is what was shown: when the client may have more meanwhile, it is shown again", async () => {
  const shop = await addClient(server(), { metadata: { scope: "openid read" } });
  const browser = await signedIn(server(), "alice");
  const page = await ask(browser, shop, { scope: "openid read write" });
  const updated = await server().app.clients.update(
    shop.client.id,
    { metadata: { scope: "openid read write" } },
    { actor: "operator" },
  );
  assert.equal(updated.outcome, "updated");
  const again = await decideByProgram(browser, page, "allow");
  assert.equal(again.status, 200);
  assert.match(readable(again), /Use write/);
  codeIn(await decideByProgram(browser, again, "allow"));
});

test("a request that waits is another client's to nobody, is used once by one browser, and is over after half an hour", async () => {
  const [shop, other] = [await addClient(server()), await addClient(server())];
  const browser = await signedIn(server(), "alice");
  const page = await ask(browser, shop);
  const { request_uri = "" } = formOf(page, DECIDE);
  const at = (client: TestClient, more: Parameters = {}) =>
    browser.open(authorizePath({ client_id: client.client.id, request_uri, ...more }));
  assert.equal((await at(other)).status, 400);
  // RFC 9126 §4: what stands beside the reference counts for nothing.
  const beside = await at(shop, { redirect_uri: "https://evil.example/", scope: "write", prompt: "none" });
  assert.equal(beside.status, 200);
  assert.doesNotMatch(readable(beside), /evil|write/);
  const replies = await Promise.all(Array.from({ length: 8 }, () => decideByProgram(browser, page, "allow")));
  const codes = replies.filter(({ status }) => status === 303);
  // A button that is clicked twice: the browser follows the last answer, so that has to be one.
  assert.equal(codes.length, 8);
  for (const reply of codes) codeIn(reply);
  const stranger = await signedIn(server(), "alice");
  const path = authorizePath({ client_id: shop.client.id, request_uri });
  assert.equal((await stranger.open(path)).status, 400, "in another browser it is used");
  clock.pass(10);
  assert.equal((await at(shop)).status, 400);
  const late = await ask(browser, shop, { prompt: "consent" });
  clock.pass(1800);
  assert.match(readable(await decideByProgram(browser, late, "allow")), /Please begin again/);
  await server().app.oauth.deletePast();
  assert.equal(await server().countRows("authorization_requests"), 0);
});

test("the account page shows what applications were given, and withdraws it with all that they hold", async () => {
  const shop = await addClient(server(), { name: "Withdrawn" });
  const trusted = await addClient(server(), { name: "Vouched for", metadata: { keyturn_trusted: true } });
  const browser = await signedIn(server(), "dora");
  const bystander = await signedIn(server(), "bob");
  const give = async (client: TestClient, by: Browser) => {
    const { code, verifier } = await codeFor(server(), {
      test: client,
      browser: by,
      more: { scope: "openid read offline_access" },
    });
    return exchange(server(), client, { code, code_verifier: verifier });
  };
  const given = await give(shop, browser);
  const others = await give(shop, bystander);
  await give(trusted, browser);
  const unused = await codeFor(server(), { test: shop, browser, more: { scope: "openid" } });
  const page = await browser.open("/account");
  assert.match(readable(page), /Applications.*Withdrawn.*Use read/);
  assert.match(readable(page), /Vouched for/);
  const form = formOf(page, "/account/applications/withdraw", shop.client.id);
  const withdraw = () =>
    browser.post("/account/applications/withdraw", form, { "sec-fetch-site": "same-origin" });
  assert.equal((await withdraw()).headers.get("location"), "/account?notice=withdrawn");
  assert.equal((await withdraw()).headers.get("location"), "/account?notice=withdrawn-already");
  for (const client of ["", "\u0000", "nobody", "x".repeat(5000)]) {
    const reply = await browser.post("/account/applications/withdraw", { ...form, client });
    assert.equal(reply.headers.get("location"), "/account?notice=withdrawn-already");
  }
  const turn = (token: unknown) =>
    server().app.turning.turn({ token: String(token), clientId: shop.client.id });
  assert.deepEqual(await turn(given.json.refresh_token), { outcome: "refused", reason: "revoked" });
  assert.equal((await server().app.guard.verify(String(given.json.access_token))).ok, false);
  assert.equal((await turn(others.json.refresh_token)).outcome, "turned", "of nobody else");
  const late = await exchange(server(), shop, { code: unused.code, code_verifier: unused.verifier });
  assert.equal(late.json.error, "invalid_grant", "a code that was not used yet gives nothing either");
  const after = readable(await browser.open("/account"));
  assert.doesNotMatch(after, /Let in.*Withdrawn/);
  assert.match(after, /You withdrew what an application was allowed/);
  assert.equal((await ask(browser, shop)).status, 200, "and it is asked about again");
});

test("an issuer with a path: every way there and back is below it", async () => {
  const own = await startTestServer({ settings: { issuer: "http://127.0.0.1:3000/auth" } });
  try {
    await own.addUser("alice");
    const shop = await addClient(own);
    const browser = testBrowser(own);
    const first = await browser.open(`/auth${authorizePath(requestOf(shop, challenge))}`);
    const [path = ""] = (first.headers.get("location") ?? "").split("?");
    assert.equal(path, "/auth/sign-in");
    const form = await browser.follow(first);
    const back = await browser.submit(form, "/auth/sign-in", { username: "alice", password: PASSWORD });
    assert.match(back.headers.get("location") ?? "", /^\/auth\/oauth\/authorize\?/);
    const page = await browser.follow(back);
    const fields = { ...formOf(page, `/auth${DECIDE}`), decision: "allow" };
    const { code, iss } = answerOf(await browser.post(`/auth${DECIDE}`, fields), CALLBACK);
    own.secrets.add(code ?? "");
    assert.equal(iss, "http://127.0.0.1:3000/auth");
  } finally {
    await own.close();
  }
});
