import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Hono } from "hono";
import { Refusal } from "./errors.ts";
import type { Page, PageAnswer, PageProblem } from "./http/page.ts";
import { pageProblems } from "./http/page.ts";
import { createTraffic } from "./http/traffic.ts";
import { createPageRoutes } from "./page-routes.ts";
import { assertPage, readable, testBrowser } from "./pages/test-browser.ts";
import type { RouterEnv } from "./routes.ts";
import { DatabaseUnavailable } from "./storage/database.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;
before(async () => {
  server = await startTestServer();
  await server.addUser("alice");
});
after(() => server.close());

const html = { accept: "text/html" };

test("every page answers HEAD as GET without a body, and other methods with 405, Allow and a page", async () => {
  const browser = testBrowser(server);
  await browser.signIn("alice");
  const byPath = Map.groupBy(server.app.pages, ({ path }) => path);
  for (const [path, rows] of byPath) {
    const methods = rows.map(({ method }) => method as string);
    if (methods.includes("GET")) {
      const [get, head] = [await browser.open(path), await browser.send(path, { method: "HEAD" })];
      assert.deepEqual([head.status, head.text], [get.status, ""], path);
    }
    // An endpoint at the same address answers the others.
    if (rows.some(({ besideEndpoint }) => besideEndpoint === true)) continue;
    for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      if (methods.includes(method)) continue;
      const reply = await browser.send(path, { method });
      assert.equal(reply.status, 405, `${method} ${path}`);
      const allowed = methods.flatMap((one) => (one === "GET" ? ["GET", "HEAD"] : [one]));
      assert.equal(reply.headers.get("allow"), allowed.join(", "));
    }
  }
});

test("the address of the API's root gives a page to who asks for HTML, and says so to caches", async () => {
  const page = await server.call("/", { headers: html });
  assertPage(page);
  assert.equal(page.headers.get("vary"), "Accept");
  assert.match(readable(page), /Welcome to Keyturn .* Sign in Create an account For developers/);
  const json = await server.call("/", { headers: { accept: "*/*" } });
  assert.equal(json.json.name, "Keyturn");
  assert.equal(json.headers.get("vary"), "Accept");
  const browser = testBrowser(server);
  await browser.signIn("alice");
  assert.match(readable(await browser.open("/")), /You are signed in as alice\. Your account Sign out/);
});

test("a browser that is lost gets a page, a program gets JSON", async () => {
  const page = await server.call("/nowhere", { headers: html });
  assertPage(page);
  assert.equal(page.status, 404);
  assert.match(readable(page), /There is no such page/);
  assert.equal((await server.call("/nowhere")).json.error, "not_found");
  const posted = await server.call("/nowhere", { method: "POST", headers: html, json: {} });
  assert.equal(posted.json.error, "not_found");
});

test("the stylesheet and the icon have addresses that name their content, and may be kept for ever", async () => {
  const { text } = await server.call("/sign-in", { headers: html });
  const paths = [...text.matchAll(/<link rel="(?:icon|stylesheet)" href="([^"]*)"/g)].map(
    ([, path = ""]) => path,
  );
  assert.equal(paths.length, 2);
  for (const path of paths) {
    const asset = await server.call(path);
    assert.equal(asset.status, 200);
    assert.equal(asset.headers.get("cache-control"), "public, max-age=31536000, immutable");
    assert.match(
      asset.headers.get("content-type") ?? "",
      path.endsWith("css") ? /^text\/css/ : /^image\/svg\+xml$/,
    );
    const older = await server.call(path.replace(/-[0-9a-f]+\./, "-0123456789abcdef."));
    assert.equal(older.text, asset.text, "a page of another version is not left without");
    assert.equal(older.headers.get("cache-control"), "no-store");
  }
  const css = (await server.call(paths.find((path) => path.endsWith("css")) ?? "")).text;
  assert.doesNotMatch(css, /url\(|@import|https?:/, "nothing is loaded from elsewhere");
  for (const path of ["/assets/", "/assets/keyturn-x.css", "/assets/..%2fapp.ts", "/assets/other-00.css"]) {
    assert.equal((await server.call(path)).status, 404, path);
  }
});

test("an issuer with a path has it in front of every link, form and redirect", async () => {
  const place = await startTestServer({ settings: { issuer: "http://localhost:4000/auth" } });
  try {
    await place.addUser("alice");
    const browser = testBrowser(place);
    for (const path of ["/auth/", "/auth/sign-in", "/auth/sign-up", "/auth/nowhere", "/sign-in"]) {
      const { text } = await browser.open(path);
      for (const [, address = ""] of text.matchAll(/(?:href|action)="([^"#][^"]*)"/g)) {
        assert.match(address, /^\/auth\//, path);
      }
      const css = /rel="stylesheet" href="([^"]*)"/.exec(text)?.[1] ?? "";
      assert.equal((await place.call(css)).status, 200);
    }
    const stranger = await browser.open("/auth/account");
    assert.equal(stranger.headers.get("location"), "/auth/sign-in?return_to=%2Fauth%2Faccount");
    const form = await browser.follow(stranger);
    const fields = { username: "alice", password: "correct horse battery" };
    const reply = await browser.submit(form, "/auth/sign-in", fields);
    assert.equal(reply.headers.get("location"), "/auth/account");
    assert.equal((await browser.follow(reply)).status, 200);
  } finally {
    await place.close();
  }
});

test("the name of the site is shown as text at the top of each page and in its title", async () => {
  const place = await startTestServer({ settings: { siteName: "Ada & <Sons>" } });
  try {
    for (const path of ["/", "/sign-in", "/sign-up", "/sign-out", "/nowhere"]) {
      const reply = await testBrowser(place).open(path);
      assert.match(reply.text, /<span>Ada &amp; &lt;Sons&gt;<\/span><\/a>/);
      assert.match(reply.text, /<title>[^<]*Ada &amp; &lt;Sons&gt;<\/title>/);
    }
  } finally {
    await place.close();
  }
});

test("on https cookies of pages are __Host-, and pages say HSTS", async () => {
  const place = await startTestServer({ settings: { issuer: "https://auth.example" } });
  try {
    await place.addUser("alice");
    const browser = testBrowser(place);
    assert.match(
      (await browser.open("/sign-in")).headers.get("strict-transport-security") ?? "",
      /^max-age=31536000/,
    );
    await browser.signIn("alice");
    assert.deepEqual([...browser.cookies.keys()].sort(), ["__Host-keyturn", "__Host-keyturn-form"]);
  } finally {
    await place.close();
  }
});

/** The pipeline alone, around a page that does what a test says. */
function pipeline(
  handle: () => PageAnswer | Promise<PageAnswer>,
  find: () => Promise<{ outcome: "missing" }>,
) {
  const page: Page = { method: "GET", path: "/x", summary: "", access: "anyone", handle };
  const lines: unknown[] = [];
  const note = (...parts: unknown[]) => void lines.push(parts);
  const routes = createPageRoutes({
    pages: [page],
    assets: [],
    problemPage: (problem) => `the page for ${problem}`,
    browserSessions: { find, clearCookie: () => "" },
    formTokens: { issue: () => "", isGood: () => false } as never,
    siteOf: () => "same",
    settings: { issuer: "http://localhost", trustedProxies: 0 },
    metrics: { requestTook: () => {} },
    log: { error: note } as never,
    traffic: createTraffic(),
  });
  const app = new Hono<RouterEnv>();
  routes.addTo(app);
  return { ask: () => app.request("/x"), lines };
}

const nobody = async () => ({ outcome: "missing" }) as const;

test("a database that is away is 503 with Retry-After, a fault of ours 500; the log has what the page has not", async () => {
  const failures: [unknown, PageProblem, string | null][] = [
    [new DatabaseUnavailable("secret host"), "unavailable", "1"],
    [new Error("secret detail"), "server_error", null],
    [new Refusal("busy", { headers: { "Retry-After": "2" } }), "busy", "2"],
    [new Refusal("invalid_credentials"), "invalid_request", null],
  ];
  for (const [error, problem, retryAfter] of failures) {
    const fail = () => {
      throw error;
    };
    for (const one of [pipeline(fail, nobody), pipeline(() => ({ status: 200, html: "" }), fail as never)]) {
      const response = await one.ask();
      assert.equal(response.status, pageProblems[problem]);
      assert.equal(await response.text(), `the page for ${problem}`);
      assert.equal(response.headers.get("retry-after"), retryAfter);
      assert.equal(one.lines.length, error instanceof Refusal ? 0 : 1);
    }
  }
});

test("a server that stops answers pages with 503, and its database is not asked", async () => {
  const place = await startTestServer();
  await place.close();
  const response = await place.app.router.request("/sign-in", { headers: html });
  assert.equal(response.status, 503);
  assert.match(await response.text(), /Back in a moment/);
});
