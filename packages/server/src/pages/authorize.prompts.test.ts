import assert from "node:assert/strict";
import { test } from "node:test";
import { addClient, codeFor, decideByProgram, exchange, signedIn } from "../oauth/test-oauth.ts";
import { addTotp } from "../users/factors/test-factors.ts";
import { authorizePage } from "./test-authorize.ts";
import { PASSWORD, readable, testBrowser } from "./test-browser.ts";

/** What a request asks to be asked, or not to be: who it is for, how freshly and how well they have proven it. */

const { clock, server, ask, agreed, isSignIn, signInAt, codeIn, errorIn } = authorizePage();

test("OpenID Connect Core §3.1.2.1, login_hint: it stands in the form, and nothing else comes of it", async () => {
  const shop = await addClient(server());
  const browser = testBrowser(server());
  const page = await browser.follow(await ask(browser, shop, { login_hint: '"><script>x' }));
  assert.match(page.text, /value="&quot;&gt;&lt;script&gt;x"/);
  const bare = await browser.follow(await ask(browser, shop, { login_hint: "x".repeat(300) }));
  assert.doesNotMatch(bare.text, /xxxx/);
});

test("prompt=none never asks: it is told what would have to be", async () => {
  const shop = await addClient(server());
  const browser = await signedIn(server(), "alice");
  assert.equal(errorIn(await ask(testBrowser(server()), shop, { prompt: "none" })), "login_required");
  assert.equal(errorIn(await ask(browser, shop, { prompt: "none" })), "consent_required");
  await agreed(browser, shop);
  codeIn(await ask(browser, shop, { prompt: "none" }));
  clock.pass(10);
  assert.equal(errorIn(await ask(browser, shop, { prompt: "none", max_age: "5" })), "login_required");
  codeIn(await ask(browser, shop, { prompt: "none", max_age: "500" }));
});

test("prompt=login asks who is signed in to do so again, once, and goes on", async () => {
  const shop = await addClient(server());
  const browser = await signedIn(server(), "alice");
  await agreed(browser, shop);
  clock.pass(1);
  const reply = await ask(browser, shop, { prompt: "login" });
  const url = isSignIn(reply);
  assert.equal(url.searchParams.get("as"), "someone-else");
  // Coming back without having done so asks again, however often.
  const back = url.searchParams.get("return_to") ?? "";
  for (let times = 0; times < 3; times++) isSignIn(await browser.open(back));
  clock.pass(1);
  codeIn(await signInAt(browser, reply, "alice"));
  // The next request asks again: it is not the browser that is remembered.
  clock.pass(1);
  isSignIn(await ask(browser, shop, { prompt: "login" }));
});

test("max_age asks again when the proof is too old, and 0 always; a client may be registered with one", async () => {
  const shop = await addClient(server());
  const strict = await addClient(server(), { metadata: { default_max_age: 60 } });
  const browser = await signedIn(server(), "alice");
  await agreed(browser, shop);
  await agreed(browser, strict);
  clock.pass(100);
  codeIn(await ask(browser, shop, { max_age: "100" }));
  isSignIn(await ask(browser, shop, { max_age: "99" }));
  isSignIn(await ask(browser, strict));
  codeIn(await ask(browser, strict, { max_age: "100" }));
  clock.pass(1);
  const asked = await ask(browser, shop, { max_age: "0" });
  clock.pass(1);
  codeIn(await signInAt(browser, asked, "alice"));
});

test("prompt=select_account asks who to be: to go on, or somebody else", async () => {
  const shop = await addClient(server());
  const browser = await signedIn(server(), "alice");
  await agreed(browser, shop);
  const page = await ask(browser, shop, { prompt: "select_account" });
  assert.match(readable(page), /Choose an account.*Continue as alice.*Use another account/);
  codeIn(await decideByProgram(browser, page, "continue"));

  clock.pass(1);
  const other = await ask(browser, shop, { prompt: "select_account" });
  const link = /<a class="button quiet" href="([^"]*)">Use another/.exec(other.text)?.[1] ?? "";
  const form = await browser.open(link.replaceAll("&amp;", "&"));
  const back = await browser.submit(form, "/sign-in", { username: "bob", password: PASSWORD });
  const asked = await browser.follow(back);
  assert.match(readable(asked), /You are signed in as bob/);
  codeIn(await decideByProgram(browser, asked, "allow"));
});

test("prompt=create leads to the form for a new account, and back", async () => {
  const shop = await addClient(server());
  const browser = testBrowser(server());
  const reply = await ask(browser, shop, { prompt: "create" });
  isSignIn(reply, "/sign-up");
  const page = await browser.follow(reply);
  const back = await browser.submit(page, "/sign-up", { username: "newcomer", password: PASSWORD });
  assert.match(readable(await browser.follow(back)), /Shop asks for access.*signed in as newcomer/);
});

test("RFC 9470 §5: acr_values of two factors asks for the second one; who has none cannot meet it", async () => {
  const shop = await addClient(server());
  const trusted = await addClient(server(), { metadata: { keyturn_trusted: true } });
  const browser = await signedIn(server(), "carol");
  const two = { acr_values: "urn:keyturn:2fa" };
  assert.equal(errorIn(await ask(browser, shop, two)), "unmet_authentication_requirements");
  // OpenID Connect Core §3.1.2.1: voluntary, so what is unknown here asks for nothing.
  codeIn(await ask(browser, trusted, { acr_values: "phr urn:mace:incommon:iap:silver" }));
  codeIn(await ask(browser, trusted, { acr_values: "urn:keyturn:2fa urn:keyturn:1fa" }));
  const claims = JSON.stringify({ id_token: { acr: { essential: true, values: ["urn:nobody:has:it"] } } });
  assert.equal(errorIn(await ask(browser, trusted, { claims })), "unmet_authentication_requirements");

  const carol = await server().app.users.find("carol");
  assert.ok(carol);
  const app = await addTotp(server(), carol);
  clock.pass(60);
  const reply = await ask(browser, trusted, two);
  isSignIn(reply, "/step-up");
  assert.equal(errorIn(await ask(browser, trusted, { ...two, prompt: "none" })), "interaction_required");
  const form = await browser.follow(reply);
  const back = await browser.submit(form, "/step-up", { password: PASSWORD, code: await app.code(60) });
  codeIn(await browser.follow(back));
  codeIn(await ask(browser, trusted, two));
  codeIn(await ask(browser, trusted, { ...two, prompt: "none" }));
});

test("OpenID Connect Core §3.1.2.2, id_token_hint: it is for that person, or for nobody", async () => {
  const shop = await addClient(server(), { metadata: { keyturn_trusted: true } });
  const alice = await signedIn(server(), "alice");
  const { code, verifier } = await codeFor(server(), { test: shop, browser: alice });
  const { json } = await exchange(server(), shop, { code, code_verifier: verifier });
  const id_token_hint = String(json.id_token);
  clock.pass(86_400);
  codeIn(await ask(await signedIn(server(), "alice"), shop, { id_token_hint, prompt: "none" }));
  const bob = await signedIn(server(), "bob");
  assert.equal(errorIn(await ask(bob, shop, { id_token_hint, prompt: "none" })), "login_required");
  clock.pass(1);
  const asked = await ask(bob, shop, { id_token_hint });
  clock.pass(1);
  assert.equal(errorIn(await signInAt(bob, asked, "bob")), "login_required");
  const again = await ask(bob, shop, { id_token_hint });
  clock.pass(1);
  codeIn(await signInAt(bob, again, "alice"));
  // Another client's, one that was changed, and an access token are none.
  const other = await addClient(server());
  assert.equal(errorIn(await ask(alice, other, { id_token_hint })), "invalid_request");
  const [head, , tail] = id_token_hint.split(".");
  const body = Buffer.from(JSON.stringify({ iss: server().issuer, sub: "x", aud: shop.client.id })).toString(
    "base64url",
  );
  for (const forged of [
    `${head}.${body}.${tail}`,
    `${head}.${body}.`,
    String(json.access_token),
    `e30.${body}.`,
  ]) {
    assert.equal(errorIn(await ask(alice, shop, { id_token_hint: forged })), "invalid_request");
  }
});

test("pairwise: the hint and the sub claim are what the client calls the person", async () => {
  const shop = await addClient(server(), { metadata: { keyturn_trusted: true, subject_type: "pairwise" } });
  const browser = await signedIn(server(), "alice");
  const { code, verifier } = await codeFor(server(), { test: shop, browser });
  const { json } = await exchange(server(), shop, { code, code_verifier: verifier });
  codeIn(await ask(browser, shop, { id_token_hint: String(json.id_token), prompt: "none" }));
  const user = await server().app.users.find("alice");
  const claims = JSON.stringify({ id_token: { sub: { value: user?.id } } });
  assert.equal(errorIn(await ask(browser, shop, { claims, prompt: "none" })), "login_required");
});
