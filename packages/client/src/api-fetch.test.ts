import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { apiUrl, issuerUrl, type TestRequest } from "./test-issuer.ts";
import { createWorld, offline, signIn, type World } from "./test-world.ts";

const authorization = ({ headers }: TestRequest) => headers.get("authorization");

async function scene(
  options: Parameters<World["openTab"]>[0] = {},
  internals: Parameters<World["openTab"]>[1] = {},
) {
  const world = createWorld();
  const tab = world.openTab(options, internals);
  await signIn(world, tab);
  const seen: TestRequest[] = [];
  const run = async (...parameters: Parameters<typeof tab.client.fetch>) => {
    const count = world.issuer.requests.length;
    const response = await world.timeline.run(tab.client.fetch(...parameters));
    seen.splice(0, seen.length, ...world.issuer.requests.slice(count));
    return response;
  };
  /** The API refuses the next requests, whatever they bring. */
  const refuseNext = (times: number) => {
    let left = times;
    world.network = async (request, deliver) => {
      const isApi = !["/refresh", "/logout"].includes(request.url.pathname);
      const response = await deliver(request);
      return isApi && left-- > 0 ? new Response(null, { status: 401 }) : response;
    };
  };
  return { world, ...tab, run, seen, refuseNext };
}

describe("where the token goes", () => {
  test("to the issuer, the page's own origin and the APIs that were named, and nowhere else", async () => {
    const { run, seen } = await scene({}, { pageOrigin: "https://app.example.com" });
    const wanted: [string, boolean][] = [
      [`${issuerUrl}/me`, true],
      ["https://app.example.com/api", true],
      [`${apiUrl}/me`, true],
      ["https://api.example.com:8443/me", false],
      ["http://api.example.com/me", false],
      ["https://example.com/", false],
      ["https://api.example.com.evil.example/", false],
      ["https://elsewhere.example/https://api.example.com/", false],
    ];
    for (const [url, isSent] of wanted) {
      await run(url);
      assert.deepEqual([url, seen.some((request) => authorization(request) !== null)], [url, isSent]);
    }
  });

  test("relative addresses belong to the page", async () => {
    const page = { pageOrigin: "https://app.example.com", pageUrl: "https://app.example.com/a/b" };
    const world = createWorld();
    const tab = world.openTab(
      { fetch: (input, init) => world.fetch(new URL(String(input), page.pageUrl), init) },
      page,
    );
    await signIn(world, tab);
    const response = await world.timeline.run(tab.client.fetch("../api?x=1#y"));
    assert.equal(response.status, 200);
    assert.equal(world.issuer.requests.at(-1)?.url.pathname, "/api");
  });

  test("not over a header that the caller has set, in whatever way", async () => {
    const { run, seen } = await scene();
    const headers = { Authorization: "Basic b3du" };
    await run(`${apiUrl}/me`, { headers });
    assert.equal(authorization(seen[0] as TestRequest), "Basic b3du");
    await run(new Request(`${apiUrl}/me`, { headers }));
    assert.equal(authorization(seen[0] as TestRequest), "Basic b3du");
    await run(`${apiUrl}/me`, { headers: [["authorization", "Basic b3du"]] });
    assert.equal(authorization(seen[0] as TestRequest), "Basic b3du");
  });

  test("beside the caller's other headers, which stay", async () => {
    const { run, seen } = await scene();
    await run(new Request(`${apiUrl}/me`, { headers: { "x-own": "1", accept: "text/plain" } }));
    assert.deepEqual([seen[0]?.headers.get("x-own"), seen[0]?.headers.get("accept")], ["1", "text/plain"]);
    assert.match(authorization(seen[0] as TestRequest) ?? "", /^Bearer /);
  });

  test("an address that cannot be read is for fetch to complain of", async () => {
    const { client } = await scene();
    await assert.rejects(client.fetch("/relative"), TypeError);
  });

  test("nobody signed in: the request goes without a token", async () => {
    const world = createWorld();
    const response = await world.timeline.run(world.openTab().client.fetch(`${apiUrl}/me`));
    assert.deepEqual([response.status, world.issuer.requests.length], [401, 1]);
  });
});

describe("a 401 of an API", () => {
  test("makes one refresh and one more try", async () => {
    const { run, refuseNext, world, seen } = await scene();
    refuseNext(1);
    assert.equal((await run(`${apiUrl}/me`)).status, 200);
    assert.deepEqual(
      seen.map(({ url }) => url.pathname),
      ["/me", "/refresh", "/me"],
    );
    assert.equal(world.refreshes().length, 1);
  });

  test("again after that is the caller's", async () => {
    const { run, refuseNext, seen } = await scene();
    refuseNext(2);
    assert.equal((await run(`${apiUrl}/me`)).status, 401);
    assert.deepEqual(
      seen.map(({ url }) => url.pathname),
      ["/me", "/refresh", "/me"],
    );
  });

  test("at every request makes the session turn once in ten seconds, not at every call", async () => {
    const { run, refuseNext, world } = await scene();
    refuseNext(1000);
    for (let call = 0; call < 30; call++) {
      assert.equal((await run(`${apiUrl}/me`)).status, 401);
      await world.timeline.advance(1000);
    }
    assert.ok(world.refreshes().length <= 4, `${world.refreshes().length}`);
  });

  test("for a token that is no longer the newest is tried again with the newest, without a refresh", async () => {
    const { client, world } = await scene();
    let refused = 0;
    world.network = async (request, deliver) => {
      if (request.url.pathname === "/refresh") return deliver(request);
      // Both were sent with the same token; this answer comes when the other call has got a new one.
      const isSecond = refused === 1;
      if (refused++ >= 2) return deliver(request);
      if (isSecond) await world.timeline.sleep(2000);
      return new Response(null, { status: 401 });
    };
    const both = Promise.all([client.fetch(`${apiUrl}/a`), client.fetch(`${apiUrl}/b`)]);
    const statuses = (await world.timeline.run(both)).map(({ status }) => status);
    assert.deepEqual([statuses, world.refreshes().length], [[200, 200], 1]);
  });

  test("when the session is over: the API's answer, and the listeners hear why", async () => {
    const { run, events, world } = await scene();
    world.issuer.end("s0", "revoked");
    assert.equal((await run(`${apiUrl}/me`)).status, 401);
    assert.deepEqual(events, ["signedIn alice", "signedOut revoked"]);
  });

  test("while Keyturn is away is not taken for a sign-out: unavailable", async () => {
    const { run, world } = await scene();
    world.network = async (request, deliver) =>
      request.url.pathname === "/refresh" ? offline(request, deliver) : new Response(null, { status: 401 });
    await assert.rejects(run(`${apiUrl}/me`), { code: "unavailable" });
  });

  const bodies: [string, () => RequestInit & { duplex?: "half" }, string][] = [
    ["a text", () => ({ body: "again" }), "again"],
    ["bytes", () => ({ body: new TextEncoder().encode("again") }), "again"],
    ["a Blob", () => ({ body: new Blob(["again"]) }), "again"],
    ["a form", () => ({ body: new URLSearchParams({ a: "b" }) }), "a=b"],
  ];
  for (const [name, init, text] of bodies) {
    test(`sends ${name} again`, async () => {
      const { run, refuseNext } = await scene();
      refuseNext(1);
      const response = await run(`${apiUrl}/me`, { method: "POST", ...init() });
      assert.equal((await response.json()).echo, text);
    });

    test(`sends ${name} of a Request again`, async () => {
      const { run, refuseNext } = await scene();
      refuseNext(1);
      const response = await run(new Request(`${apiUrl}/me`, { method: "PUT", ...init() }));
      assert.equal((await response.json()).echo, text);
    });
  }

  test("leaves a stream alone, which cannot be sent twice; the next call has a new token", async () => {
    const { run, refuseNext, world, seen } = await scene();
    refuseNext(1);
    const init = { method: "POST", body: new Blob(["once"]).stream(), duplex: "half" as const };
    assert.equal((await run(`${apiUrl}/me`, init)).status, 401);
    await world.timeline.settle();
    assert.equal(world.refreshes().length, 1);
    assert.equal((await run(`${apiUrl}/me`)).status, 200);
    assert.deepEqual(
      seen.map(({ url }) => url.pathname),
      ["/me"],
    );
  });

  test("is only asked of the status: 403 and 500 are the caller's", async () => {
    const { run, world } = await scene();
    for (const status of [403, 500]) {
      world.network = async () => new Response(null, { status });
      assert.equal((await run(`${apiUrl}/me`)).status, status);
    }
    assert.equal(world.refreshes().length, 0);
  });
});
