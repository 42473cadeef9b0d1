import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { memoryStorage } from "./memory-storage.ts";
import { createOidcClient } from "./oidc.ts";
import type { OidcClientOptions } from "./oidc-options.ts";
import {
  callbackUrl,
  createProviderWorld,
  leave,
  providerUrl,
  setPage,
  signInBy,
  type TestPage,
} from "./test-provider.ts";
import { offline } from "./test-world.ts";

let page: TestPage;
beforeEach(() => {
  page = setPage();
});
afterEach(() => page.remove());

const silent = (error: object) =>
  assert.doesNotMatch(`${JSON.stringify(error)} ${error}`, /code-\d|rt-\d|eyJ/);

describe("signing in by redirect", () => {
  test("Core §3.1.2.1: the request has PKCE, state, nonce and all that was asked for, and keeps the endpoint's query", async () => {
    const world = createProviderWorld();
    const tab = world.openTab({
      resource: ["https://a.example", "https://b.example"],
      scope: "openid email",
    });
    const how = { prompt: "login", loginHint: "al", uiLocales: "de en", maxAge: 0, acrValues: "mfa" };
    const url = new URL(await leave(world, tab, { page, how: { ...how, parameters: { tenant_hint: "x" } } }));
    assert.equal(url.origin + url.pathname, `${providerUrl}/authorize`);
    const { state, nonce, code_challenge, ...others } = Object.fromEntries(url.searchParams);
    for (const random of [state, nonce, code_challenge]) assert.match(random ?? "", /^[\w-]{43}$/);
    assert.equal(new Set([state, nonce, code_challenge]).size, 3);
    assert.deepEqual(url.searchParams.getAll("resource"), ["https://a.example", "https://b.example"]);
    assert.deepEqual(others, {
      ...{
        tenant: "7",
        tenant_hint: "x",
        response_type: "code",
        client_id: "app",
        redirect_uri: callbackUrl,
      },
      ...{ scope: "openid email", code_challenge_method: "S256", resource: "https://b.example" },
      ...{ prompt: "login", login_hint: "al", ui_locales: "de en", max_age: "0", acr_values: "mfa" },
    });
  });

  test("the way back gives a session, the claims and where the page was left; the address is cleaned at once", async () => {
    const world = createProviderWorld();
    const tab = world.openTab();
    const address = await leave(world, tab, { page, how: { returnTo: "/cart?item=7" } });
    const back = `${world.provider.agree(address, { iss: providerUrl, session_state: "x" })}&theme=dark#top`;
    page.seen.href = back;
    const session = await world.timeline.run(tab.client.finishSignIn());
    assert.deepEqual(
      [session?.user.id, session?.user.username, session?.returnTo],
      ["u1", "alice", "/cart?item=7"],
    );
    assert.deepEqual([session?.user.email, session?.user.emailVerified], ["alice@example.org", true]);
    assert.equal(session?.user.claims.preferred_username, "alice");
    assert.equal("nonce" in (session?.user.claims ?? {}), false);
    assert.deepEqual(page.seen.shown, [`${callbackUrl}?theme=dark#top`]);
    assert.deepEqual(tab.events, ["signedIn alice"]);
    assert.equal((await tab.client.fetch("https://api.example.com/me")).status, 200);
    // A reload of the page, and the back button.
    assert.equal(await world.timeline.run(tab.client.finishSignIn()), undefined);
    page.seen.href = back;
    await assert.rejects(world.timeline.run(tab.client.finishSignIn()), { code: "invalid_state" });
    assert.equal((await tab.client.session())?.user.username, "alice");
    assert.equal(world.provider.count("/token"), 1);
  });

  test("a framework that calls twice gets the same session twice, by one code", async () => {
    const world = createProviderWorld();
    const tab = world.openTab();
    page.seen.href = world.provider.agree(await leave(world, tab, { page }));
    const both = Promise.all([tab.client.finishSignIn(), tab.client.finishSignIn()]);
    const [first, second] = await world.timeline.run(both);
    assert.equal(first?.sessionId, second?.sessionId);
    assert.equal(world.provider.count("/token"), 1);
  });

  test("several that are under way do not disturb one another; the newest to come back is signed in", async () => {
    const world = createProviderWorld();
    const tab = world.openTab();
    const left = [await leave(world, tab, { page }), await leave(world, tab, { page })];
    for (const address of left) {
      page.seen.href = world.provider.agree(address);
      assert.equal((await world.timeline.run(tab.client.finishSignIn()))?.user.username, "alice");
    }
    await world.timeline.settle();
    // Nobody holds the first session any more.
    assert.equal(world.provider.count("/revoke"), 1);
  });

  for (const returnTo of [
    "https://evil.example/",
    "//evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
  ]) {
    test(`${returnTo} is no place to return to: nobody is led away`, async () => {
      const world = createProviderWorld();
      await assert.rejects(world.openTab().client.signIn({ returnTo }), { code: "invalid_request" });
      await assert.rejects(world.openTab().client.signIn({ returnTo, popup: true }), {
        code: "invalid_request",
      });
      assert.deepEqual([page.seen.left, world.provider.requests], [[], []]);
    });
  }

  test("who comes back by the back button to a page that was kept is told: nothing else will come", async () => {
    const target = globalThis as unknown as { addEventListener?: unknown };
    const shown: ((event: { persisted: boolean }) => void)[] = [];
    target.addEventListener = (_event: string, listener: () => void) => shown.push(listener);
    const world = createProviderWorld();
    const signingIn = world.openTab().client.signIn();
    await world.timeline.settle();
    delete target.addEventListener;
    for (const listener of shown) listener({ persisted: true });
    await assert.rejects(signingIn, { code: "cancelled" });
  });

  test("another page, and an address with something else in it, are left alone", async () => {
    const world = createProviderWorld();
    const { client } = world.openTab();
    for (const href of [
      "https://app.example.com/other?code=a&state=b",
      `${callbackUrl}?code=a`,
      `${callbackUrl}?state=b`,
      "https://evil.example/callback?code=a&state=b",
    ]) {
      page.seen.href = href;
      assert.equal(await client.finishSignIn(), undefined);
    }
    assert.deepEqual([page.seen.shown, world.provider.requests], [[], []]);
  });

  for (const [title, more, code] of [
    ["no iss, which discovery promises", {}, "invalid_answer"],
    ["another iss", { iss: "https://evil.example" }, "invalid_answer"],
    [
      "an error of another provider",
      { iss: "https://evil.example", error: "access_denied" },
      "invalid_answer",
    ],
    [
      "an error",
      { iss: providerUrl, error: "access_denied", error_description: "Not today." },
      "access_denied",
    ],
    ["an error that is no word", { iss: providerUrl, error: "<script>" }, "invalid_answer"],
  ] as const) {
    test(`RFC 9207 §2.4: an answer with ${title} is refused, and its code goes nowhere`, async () => {
      const world = createProviderWorld();
      world.provider.metadata = { authorization_response_iss_parameter_supported: true };
      const tab = world.openTab();
      page.seen.href = world.provider.agree(await leave(world, tab, { page }), more);
      await assert.rejects(world.timeline.run(tab.client.finishSignIn()), (error: { code: string }) => {
        silent(error);
        return error.code === code;
      });
      assert.equal(world.provider.count("/token"), 0);
      assert.equal(page.seen.href, callbackUrl);
      assert.equal(await tab.client.session(), undefined);
    });
  }

  test("a state of nobody's, and an answer that says something twice, are refused", async () => {
    const world = createProviderWorld();
    const { client } = world.openTab();
    page.seen.href = `${callbackUrl}?code=code-1&state=forged`;
    await assert.rejects(world.timeline.run(client.finishSignIn()), { code: "invalid_state" });
    page.seen.href = `${callbackUrl}?code=a&code=b&state=c`;
    await assert.rejects(world.timeline.run(client.finishSignIn()), { code: "invalid_answer" });
    assert.equal(world.provider.count("/token"), 0);
  });

  test("RFC 9126: where the provider wants it, the request is pushed, and the address has a reference only", async () => {
    const world = createProviderWorld();
    world.provider.metadata = {
      require_pushed_authorization_requests: true,
      pushed_authorization_request_endpoint: `${providerUrl}/par`,
    };
    const tab = world.openTab();
    const address = await leave(world, tab, { page });
    const asked = [...new URL(address).searchParams.keys()];
    assert.deepEqual(asked, ["tenant", "client_id", "request_uri"]);
    page.seen.href = world.provider.agree(address);
    assert.equal((await world.timeline.run(tab.client.finishSignIn()))?.user.username, "alice");
  });

  test("a provider that quotes what it was sent does not bring it into an error", async () => {
    const world = createProviderWorld();
    const tab = world.openTab();
    page.seen.href = world.provider.agree(await leave(world, tab, { page }));
    world.world.network = async (request) =>
      Response.json(
        { error: "invalid_grant", error_description: `I do not know ${request.text}` },
        { status: 400 },
      );
    await assert.rejects(world.timeline.run(tab.client.finishSignIn()), (error: Error & { code: string }) => {
      silent(error);
      assert.doesNotMatch(`${error.stack}`, /code-\d/);
      return error.code === "invalid_grant";
    });
  });

  test("while the provider cannot be reached nothing is used up: the same answer signs in when it is asked for again", async () => {
    const world = createProviderWorld();
    const storage = memoryStorage();
    page.seen.href = world.provider.agree(await leave(world, world.openTab({ storage }), { page }));
    // The page is another one now, and asks for the discovery document again.
    const { client } = world.openTab({ storage });
    world.world.network = offline;
    await assert.rejects(world.timeline.run(client.finishSignIn()), { code: "unavailable" });
    assert.equal(page.seen.href, callbackUrl);
    world.world.network = (request) => world.provider.handle(request);
    assert.equal((await world.timeline.run(client.finishSignIn()))?.user.username, "alice");
  });
});

describe("discovery", () => {
  const cases: readonly (readonly [string, Record<string, unknown>, Partial<OidcClientOptions>?])[] = [
    ["another issuer", { issuer: "https://evil.example" }],
    ["the issuer with a slash more", { issuer: `${providerUrl}/` }],
    ["a token endpoint without TLS", { token_endpoint: "http://login.example.org/token" }],
    ["no authorization endpoint", { authorization_endpoint: undefined }],
    ["a script as authorization endpoint", { authorization_endpoint: "javascript:alert(1)" }],
    ["PKCE by plain only", { code_challenge_methods_supported: ["plain"] }],
    ["an issuer without TLS", {}, { issuer: "http://login.example.org" }],
    ["no document", {}, { issuer: `${providerUrl}/nowhere` }],
    ["pushed requests and no place for them", { require_pushed_authorization_requests: true }],
  ];
  for (const [title, metadata, options] of cases) {
    test(`§4.3: ${title} is refused, and nobody is led there`, async () => {
      const world = createProviderWorld();
      world.provider.metadata = metadata;
      const { client } = world.openTab(options);
      await assert.rejects(world.timeline.run(client.signIn()), { code: "invalid_issuer" });
      assert.deepEqual(page.seen.left, []);
    });
  }

  test("RFC 8414 §3.1: a server that has only the other well-known place is found there", async () => {
    const world = createProviderWorld();
    const issuer = `${providerUrl}/tenant`;
    world.world.network = async (request) => {
      if (request.url.pathname !== "/.well-known/oauth-authorization-server/tenant") {
        return new Response(null, { status: 404 });
      }
      return Response.json({
        ...{ issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` },
      });
    };
    const address = await leave(world, world.openTab({ issuer }), { page });
    assert.ok(address.startsWith(`${issuer}/authorize?`));
  });
});

describe("ID tokens: Core §3.1.3.7", () => {
  const other = "https://evil.example";
  const cases: readonly (readonly [string, Record<string, unknown>, { alg?: string; max?: number }?])[] = [
    ["2: another iss", { iss: other }],
    ["3: another aud", { aud: "other" }],
    ["3: several aud without azp", { aud: ["app", "other"] }],
    ["4: another azp", { azp: "other" }],
    ["9: exp before iat", { exp: 1 }],
    ["9: no exp", { exp: undefined }],
    ["10: no iat", { iat: "now" }],
    ["11: another nonce", { nonce: "other" }],
    ["11: no nonce", { nonce: undefined }],
    ["13: no auth_time though max_age was asked", {}, { max: 60 }],
    ["13: auth_time before max_age", { auth_time: 1 }, { max: 60 }],
    ["§3.1.3.8: another at_hash", { at_hash: "other" }],
    ["§2: no sub", { sub: undefined }],
    ["§2: a sub that is too long", { sub: "x".repeat(256) }],
    ["§2: alg none", {}, { alg: "none" }],
  ];
  for (const [title, claims, { alg = "RS256", max } = {}] of cases) {
    test(`${title}: nobody is signed in`, async () => {
      const world = createProviderWorld();
      Object.assign(world.provider, { claims, header: { alg } });
      const tab = world.openTab();
      const how = max === undefined ? {} : { maxAge: max };
      page.seen.href = world.provider.agree(await leave(world, tab, { page, how }));
      await assert.rejects(world.timeline.run(tab.client.finishSignIn()), (error: { code: string }) => {
        silent(error);
        return error.code === "invalid_id_token";
      });
      assert.equal(await tab.client.session(), undefined);
    });
  }

  for (const idToken of [undefined, null, "", "a.b.c", "e30.e30.", "e30.e30.x.y.z", 7, "bnVsbA.bnVsbA.x"]) {
    test(`${JSON.stringify(idToken)} in the place of one: nobody is signed in`, async () => {
      const world = createProviderWorld();
      world.provider.reply = { id_token: idToken };
      const tab = world.openTab();
      await assert.rejects(signInBy(world, tab, page), { code: "invalid_id_token" });
      assert.equal(await tab.client.session(), undefined);
    });
  }

  test("several aud with azp, a hash of EdDSA, and no at_hash at all are good", async () => {
    for (const [claims, alg] of [
      [{ aud: ["app", "other"], azp: "app" }, "ES256"],
      [{ at_hash: undefined }, "EdDSA"],
      [{ at_hash: "unknown" }, "ML-DSA-44"],
    ] as const) {
      const world = createProviderWorld();
      Object.assign(world.provider, { claims, header: { alg } });
      assert.equal((await signInBy(world, world.openTab(), page))?.user.username, "alice");
    }
  });
});

test("a wrong option is named, and what it takes", () => {
  const right = { issuer: providerUrl, clientId: "app", redirectUri: callbackUrl };
  for (const [options, name] of [
    [{ ...right, clientId: "" }, "clientId"],
    [{ ...right, redirectUri: `${callbackUrl}#x` }, "redirectUri"],
    [{ ...right, redirectUri: undefined as unknown as string }, "redirectUri"],
    [{ ...right, scope: "profile" }, "scope"],
    [{ ...right, issuer: "login.example.org:x" }, "issuer"],
    [{ ...right, lockSeconds: 90 }, "lockSeconds"],
  ] as const) {
    assert.throws(
      () => createOidcClient(options),
      new RegExp(`^TypeError: createOidcClient: ${name} takes `),
    );
  }
});
