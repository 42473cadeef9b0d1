import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { OidcClientOptions } from "./oidc-options.ts";
import { apiUrl } from "./test-issuer.ts";
import {
  createProviderWorld,
  type OidcTab,
  type ProviderWorld,
  providerUrl,
  setPage,
  signInBy,
  type TestPage,
} from "./test-provider.ts";
import { lostReply, offline, sharedStorage } from "./test-world.ts";

let page: TestPage;
beforeEach(() => {
  page = setPage();
});
afterEach(() => page.remove());

const tokenSeconds = 600;

async function openTabs(
  count: number,
  given: { world?: ProviderWorld; options?: Partial<OidcClientOptions> } = {},
) {
  const world = given.world ?? createProviderWorld();
  const storage = sharedStorage();
  const open = () => world.openTab({ storage, ...given.options });
  const tabs = Array.from({ length: count }, open) as [OidcTab, ...OidcTab[]];
  await signInBy(world, tabs[0], page);
  await world.timeline.settle();
  const call = ({ client }: OidcTab) => client.fetch(`${apiUrl}/me`).then(({ status }) => status);
  const callAll = () => world.timeline.run(Promise.all(tabs.map(call)));
  const pass = (seconds = tokenSeconds) => world.timeline.advance(seconds * 1000);
  const refreshes = () => world.provider.count("/token") - 1;
  const ends = () => tabs.flatMap(({ events }) => events.filter((event) => event.startsWith("signedOut")));
  return { world, tabs, storage, open, callAll, pass, refreshes, ends };
}

const all = (count: number, value: unknown) => Array.from({ length: count }, () => value);

describe("staying signed in at a provider that forgives nothing", () => {
  for (const rotates of [true, false]) {
    test(`ten tabs that call at once, ${rotates ? "with a new token each time" : "with the same token always"}: one refresh each time`, async () => {
      const { world, callAll, pass, refreshes, ends } = await openTabs(10);
      world.provider.rotates = rotates;
      // The news comes a little later than the lock.
      world.world.hub.delayMs = 20;
      for (let round = 1; round <= 20; round++) {
        await pass();
        assert.deepEqual(await callAll(), all(10, 200));
        assert.equal(refreshes(), round);
      }
      assert.deepEqual(ends(), []);
    });
  }

  test("RFC 6749 §6, RFC 8707 §2.2: the form has the token as it was given, the client and the resources", async () => {
    const resource = ["https://a.example", "https://b.example"];
    const { world, callAll, pass } = await openTabs(1, { options: { resource } });
    world.provider.rotates = false;
    for (let round = 0; round < 3; round++) {
      await pass();
      await callAll();
    }
    for (const form of world.provider.forms("/token").slice(1)) {
      assert.deepEqual(form.getAll("resource"), resource);
      form.delete("resource");
      assert.deepEqual(Object.fromEntries(form), {
        ...{ grant_type: "refresh_token", refresh_token: "rt-0", client_id: "app" },
      });
    }
  });

  test("the attempt key goes to Keyturn alone: others need not allow the header", async () => {
    for (const prefix of ["krt_", "rt-"]) {
      const world = createProviderWorld();
      world.provider.prefix = prefix;
      const { callAll, pass } = await openTabs(1, { world });
      await pass();
      await callAll();
      const headers = world.provider.requests.filter(({ url }) => url.pathname === "/token").at(-1)?.headers;
      assert.equal(headers?.has("idempotency-key"), prefix === "krt_");
      assert.match(headers?.get("content-type") ?? "", /^application\/x-www-form-urlencoded/);
    }
  });

  test("a reply that was lost is asked for again where the token stays the same, and nobody notices", async () => {
    const { world, callAll, pass, ends } = await openTabs(3);
    world.provider.rotates = false;
    await pass();
    let losses = 2;
    world.world.network = (request) =>
      request.url.pathname === "/token" && losses-- > 0
        ? lostReply(request, world.provider.handle)
        : world.provider.handle(request);
    assert.deepEqual(await callAll(), all(3, 200));
    assert.deepEqual(ends(), []);
  });

  test("a slow refresh is waited for by the other tabs: none uses the token a second time before it has failed", async () => {
    const { world, callAll, pass, refreshes, ends } = await openTabs(4);
    await pass();
    world.world.network = async (request) => {
      if (request.url.pathname === "/token") await world.timeline.sleep(14_000);
      return world.provider.handle(request);
    };
    assert.deepEqual(await callAll(), all(4, 200));
    assert.deepEqual([refreshes(), ends()], [1, []]);
  });

  for (const [title, answer] of [
    ["500", () => new Response(null, { status: 500 })],
    ["429", () => new Response(null, { status: 429 })],
    ["a portal's page", () => new Response("<h1>Welcome</h1>")],
    ["an empty answer", () => new Response("")],
    ["invalid_client", () => Response.json({ error: "invalid_client" }, { status: 401 })],
    ["invalid_scope", () => Response.json({ error: "invalid_scope" }, { status: 400 })],
    ["unauthorized_client", () => Response.json({ error: "unauthorized_client" }, { status: 400 })],
    ["tokens for somebody else", undefined],
  ] as const) {
    test(`${title} signs nobody out`, async () => {
      const { world, callAll, pass, tabs, ends } = await openTabs(1);
      await pass();
      world.world.network = async (request) =>
        request.url.pathname === "/token" && answer ? answer() : world.provider.handle(request);
      if (!answer)
        world.provider.reply = { id_token: `e30.${btoa(JSON.stringify({ iss: providerUrl, sub: "u2" }))}.x` };
      await assert.rejects(callAll());
      assert.equal((await tabs[0].client.session())?.user.username, "alice");
      assert.deepEqual(ends(), []);
      if (!answer) return;
      world.world.network = (request) => world.provider.handle(request);
      assert.deepEqual(await callAll(), [200]);
    });
  }

  test("invalid_grant for the stored token is the end, told to all tabs once", async () => {
    const { world, pass, callAll, ends, tabs } = await openTabs(3);
    world.provider.isOver = true;
    await pass();
    assert.deepEqual(await callAll(), all(3, 401));
    assert.deepEqual(ends(), all(3, "signedOut refused"));
    assert.equal(await tabs[1]?.client.session(), undefined);
  });

  test("invalid_grant while another tab is writing down what it got for the same token ends nothing", async () => {
    const { world, pass, storage, tabs, ends } = await openTabs(1);
    await pass();
    const name = `${providerUrl}#app`;
    world.world.network = async (request) => {
      if (request.url.pathname !== "/token") return world.provider.handle(request);
      world.world.network = (next) => world.provider.handle(next);
      // The other one was first, and a second behind with its storage.
      const { refresh_token: refreshToken } = await (await world.provider.handle(request)).json();
      void world.timeline.sleep(1000).then(async () => {
        const record = await storage.read(name);
        if (record) await storage.replace(name, record.refreshToken, { ...record, refreshToken });
      });
      return Response.json({ error: "invalid_grant" }, { status: 400 });
    };
    assert.equal((await world.timeline.run(tabs[0].client.fetch(`${apiUrl}/me`))).status, 200);
    assert.deepEqual(ends(), []);
  });

  test("a reason that is no end (Keyturn's `unknown`) keeps everything", async () => {
    const { world, pass, callAll, tabs, ends } = await openTabs(1);
    await pass();
    world.world.network = async () =>
      Response.json({ error: "invalid_grant", reason: "unknown" }, { status: 400 });
    await assert.rejects(callAll(), { code: "invalid_refresh_token", reason: "unknown" });
    assert.equal((await tabs[0].client.session())?.user.username, "alice");
    assert.deepEqual(ends(), []);
  });

  test("a page that is loaded again is signed in by what is stored, and refreshes at the first call", async () => {
    const { world, open, refreshes } = await openTabs(1);
    const { client } = open();
    assert.equal((await client.session())?.user.claims.sub, "u1");
    assert.equal((await world.timeline.run(client.fetch(`${apiUrl}/me`))).status, 200);
    assert.equal(refreshes(), 1);
  });

  test("without a refresh token the session lasts as long as the access token; an API's 401 does not end it", async () => {
    const world = createProviderWorld();
    world.provider.refreshes = false;
    const { pass, callAll, ends, tabs } = await openTabs(1, { world });
    world.world.network = async () => new Response(null, { status: 401 });
    assert.deepEqual(await callAll(), [401]);
    assert.deepEqual(ends(), []);
    world.world.network = (request) => world.provider.handle(request);
    assert.deepEqual(await callAll(), [200]);
    await pass();
    assert.deepEqual(await callAll(), [401]);
    assert.deepEqual([ends(), world.provider.count("/token")], [["signedOut expired"], 1]);
    await assert.rejects(tabs[0].client.accessToken(), { code: "signed_out", reason: "expired" });
  });
});

describe("signing out", () => {
  test("RFC 7009: the refresh token is given back, what is kept goes, all tabs hear of it", async () => {
    const { world, tabs, storage, ends } = await openTabs(2);
    assert.deepEqual(await world.timeline.run(tabs[0].client.signOut()), { told: true });
    await world.timeline.settle();
    const [form] = world.provider.forms("/revoke");
    assert.deepEqual(Object.fromEntries(form ?? []), {
      ...{ token: "rt-0", token_type_hint: "refresh_token", client_id: "app" },
    });
    assert.deepEqual(ends(), all(2, "signedOut signed_out"));
    assert.equal(await storage.read(`${providerUrl}#app`), undefined);
  });

  test("without a network what is kept here goes all the same, and `told` says that it was not heard", async () => {
    const { world, tabs, ends } = await openTabs(1);
    world.world.network = offline;
    assert.deepEqual(await world.timeline.run(tabs[0].client.signOut()), { told: false });
    assert.deepEqual(ends(), ["signedOut signed_out"]);
  });

  test("RP-Initiated Logout §2: at the provider by its page, after what is kept here is gone", async () => {
    const postLogoutRedirectUri = "https://app.example.com/bye";
    const { world, tabs, ends, storage } = await openTabs(1, { options: { postLogoutRedirectUri } });
    const record = await storage.read(`${providerUrl}#app`);
    tabs[0].client.signOut({ atProvider: true, state: "s" }).catch(() => {});
    await world.timeline.advance(100);
    const url = new URL(page.seen.left.at(-1) ?? "");
    assert.equal(url.origin + url.pathname, `${providerUrl}/logout`);
    assert.deepEqual(Object.fromEntries(url.searchParams), {
      ...{ id_token_hint: record?.idToken, client_id: "app" },
      ...{ post_logout_redirect_uri: postLogoutRedirectUri, state: "s" },
    });
    assert.deepEqual(ends(), ["signedOut signed_out"]);
    assert.equal(await storage.read(`${providerUrl}#app`), undefined);
    assert.doesNotMatch(url.href, /rt-\d/);
  });

  test("where the provider has no such page, it is this application's session only", async () => {
    const world = createProviderWorld();
    world.provider.metadata = { end_session_endpoint: undefined, revocation_endpoint: undefined };
    const { tabs, ends } = await openTabs(1, { world });
    const done = world.timeline.run(tabs[0].client.signOut({ atProvider: true }));
    assert.deepEqual(await done, { told: false });
    assert.deepEqual(ends(), ["signedOut signed_out"]);
  });
});

test("a closed client says so", async () => {
  const { client } = createProviderWorld().openTab();
  client.close();
  for (const call of [
    client.signIn(),
    client.finishSignIn(),
    client.session(),
    client.accessToken(),
    client.signOut(),
  ]) {
    await assert.rejects(call, { code: "closed" });
  }
});
