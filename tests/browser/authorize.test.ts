import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import { accessibilityProblems, networkErrors, overflowsSideways, useBrowser } from "./browser.ts";
import { closeAfter } from "./closing.ts";
import { openBareServer } from "./house.ts";

/** Letting an application in, in a real browser: policies, cookies between sites and redirects after forms count. */

const PASSWORD = "correct horse battery";
const operator = { actor: "operator" } as const;
const browser = useBrowser();

const text = async (page: Page) => (await page.locator("main").textContent())?.replaceAll(/\s+/g, " ") ?? "";
const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

async function signIn(page: Page, username: string): Promise<void> {
  await page.getByLabel("Username or e-mail address").fill(username);
  await page.getByLabel("Password").fill(PASSWORD);
  await press(page, "Sign in");
}

/**
 * The application's own site, at another site than the server's: 127.0.0.1 and localhost are two to a browser. Its
 * callback leads on to another host of its own, as many do.
 */
async function openSite(t: TestContext) {
  let shown = "";
  let answered: string | undefined;
  const listening = createServer((request, response) => {
    const { pathname, search } = new URL(request.url ?? "", "http://site.invalid");
    if (pathname === "/callback" && answered !== undefined) {
      response.writeHead(200, { "content-type": "text/html" }).end(answered);
      return;
    }
    if (pathname === "/callback" && request.method === "GET" && !search.includes("error=")) {
      response.writeHead(303, { location: `${otherUrl}/in${search}` }).end();
      return;
    }
    response.writeHead(200, { "content-type": "text/html" });
    response.end(`<main>${pathname === "/" ? shown : `${request.method} at the shop`}</main>`);
  });
  await new Promise<void>((done) => listening.listen(0, "127.0.0.1", done));
  closeAfter(t, async () => {
    listening.closeAllConnections();
    await new Promise((done) => listening.close(done));
  });
  const { port } = listening.address() as AddressInfo;
  const otherUrl = `http://127.0.0.1:${port}`;
  return {
    url: `http://localhost:${port}`,
    otherUrl,
    show(text: string): void {
      shown = text;
    },
    /** What the callback answers with, in place of leading on. */
    answer(text: string): void {
      answered = text;
    },
  };
}

async function openWith(t: TestContext) {
  const server = await openBareServer(t, { settings: { siteName: "Orchard", scopes: ["read"] } });
  for (const name of ["alice", "bob"]) await server.addUser(name);
  const site = await openSite(t);
  const callback = `${site.url}/callback`;
  const metadata = { redirect_uris: [callback] };
  const added = await server.app.clients.add({ name: "Shop", type: "web", metadata }, operator);
  assert.ok(added.outcome === "added" && added.secret !== undefined);
  const { client, secret } = added;
  server.secrets.add(secret);
  const verifier = randomBytes(32).toString("base64url");
  const challenge = createHash("sha256").update(verifier).digest("base64url");

  const parameters = (more: Record<string, string> = {}) => ({
    response_type: "code",
    client_id: client.id,
    redirect_uri: callback,
    scope: "openid profile read offline_access",
    state: "a-state",
    code_challenge: challenge,
    code_challenge_method: "S256",
    ...more,
  });

  const address = (more: Record<string, string> = {}) =>
    `${server.url}/oauth/authorize?${new URLSearchParams(parameters(more))}`;

  return {
    server,
    site,
    address,

    /** What the application's own page has: a link and a form that lead to the authorization endpoint. */
    offer(more: Record<string, string> = {}): void {
      const inputs = Object.entries(parameters(more)).map(
        ([name, value]) => `<input type="hidden" name="${name}" value="${value}">`,
      );
      site.show(`<a href="${address(more).replaceAll("&", "&amp;")}">Sign in with a link</a>
<form method="post" action="${server.url}/oauth/authorize">${inputs.join("")}<button>Sign in with a form</button></form>`);
    },

    async exchange(page: Page): Promise<Record<string, unknown>> {
      await page.waitForURL(`${site.otherUrl}/in?**`);
      const answer = new URL(page.url()).searchParams;
      assert.equal(answer.get("state"), "a-state");
      assert.equal(answer.get("iss"), server.issuer);
      server.secrets.add(answer.get("code") ?? "");
      const reply = await server.call("/oauth/token", {
        method: "POST",
        body: new URLSearchParams({
          grant_type: "authorization_code",
          code: answer.get("code") ?? "",
          code_verifier: verifier,
          redirect_uri: callback,
        }).toString(),
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          authorization: `Basic ${Buffer.from(`${client.id}:${secret}`).toString("base64")}`,
        },
      });
      assert.equal(reply.status, 200, reply.text);
      return reply.json;
    },
  };
}

test("without scripts: by link from the application, sign in, agree, and back; again without a question; again with the password asked", async (t) => {
  const shop = await openWith(t);
  const visit = await browser.visit(t, { javaScriptEnabled: false, expected: [networkErrors] });
  shop.offer();
  const page = await visit.context.newPage();
  await page.goto(shop.site.url);
  await page.getByRole("link", { name: "Sign in with a link" }).click();
  await signIn(page, "alice");
  assert.match(
    await text(page),
    /Shop asks for access.*signed in as alice.*Use read.*go on to a program on this device/,
  );
  await press(page, "Allow");
  assert.equal(typeof (await shop.exchange(page)).refresh_token, "string");

  // It is remembered: the browser is led there and back by redirects alone.
  await page.goto(shop.site.url);
  await page.getByRole("link", { name: "Sign in with a link" }).click();
  await shop.exchange(page);

  // The form for signing in is what comes last on our side: its form-action must not hold the way on.
  await page.goto(shop.address({ prompt: "login" }));
  await signIn(page, "alice");
  await shop.exchange(page);

  await page.goto(`${shop.server.url}/account`);
  assert.match(await text(page), /Applications.*Shop.*Use read/);
  await press(page, "Withdraw Shop");
  assert.match(await text(page), /That application can no longer use your account/);
});

test("without scripts: by a form from the application, with the choice of an account, and a form back", async (t) => {
  const shop = await openWith(t);
  const visit = await browser.visit(t, { javaScriptEnabled: false, expected: [networkErrors] });
  shop.offer({ prompt: "select_account", response_mode: "form_post" });
  const page = await visit.context.newPage();
  await page.goto(`${shop.server.url}/sign-in`);
  await signIn(page, "alice");
  await page.waitForURL("**/account");
  await page.goto(shop.site.url);
  await press(page, "Sign in with a form");
  assert.match(await text(page), /Choose an account/);
  await page.getByRole("link", { name: "Use another account" }).click();
  await signIn(page, "bob");
  assert.match(await text(page), /signed in as bob/);
  await press(page, "Allow");
  await press(page, "Continue");
  await page.waitForURL(`${shop.site.url}/callback`);
  assert.match(await text(page), /POST at the shop/);

  await page.goto(shop.address({ prompt: "select_account" }));
  await press(page, "Continue as bob");
  await shop.exchange(page);

  await page.goto(shop.address({ prompt: "consent" }));
  await press(page, "Do not allow");
  await page.waitForURL(/error=access_denied/);
});

test("OAuth 2.0 Form Post Response Mode §2: a form back sends itself, and whoever goes back to it is not caught", async (t) => {
  const shop = await openWith(t);
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await visit.context.newPage();
  await page.goto(shop.address({ response_mode: "form_post" }));
  await signIn(page, "alice");
  await press(page, "Allow");
  await page.waitForURL(`${shop.site.url}/callback`);
  assert.match(await text(page), /POST at the shop/);
  await page.goBack();
  await page.getByRole("button", { name: "Continue", exact: true }).waitFor();
});

test("an application that opens a window for it finds the window again, and the answer in it", async (t) => {
  const shop = await openWith(t);
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await visit.context.newPage();
  const callback = shop.site.url;
  await visit.context.route(`${callback}/`, (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<button onclick="w = window.open('${shop.address({ prompt: "login" })}'); setInterval(() => { if (w.closed) document.title = 'lost' }, 5)">Open</button>
<script>addEventListener("message", (event) => { document.querySelector("button").textContent = event.data })</script>`,
    }),
  );
  shop.site.answer(`<script>opener.postMessage(location.search, "${callback}")</script>`);
  await page.goto(`${callback}/`);
  const [popup] = await Promise.all([visit.context.waitForEvent("page"), press(page, "Open")]);
  await signIn(popup, "alice");
  await press(popup, "Allow");
  const answer = page.getByText("?code=");
  await answer.waitFor();
  shop.server.secrets.add(new URLSearchParams((await answer.textContent()) ?? "").get("code") ?? "");
  assert.notEqual(await page.title(), "lost");
});

test("a page of another site cannot have the question in a frame, nor answer it", async (t) => {
  const shop = await openWith(t);
  const visit = await browser.visit(t, {
    expected: [/frame-ancestors|Refused to (frame|display)|Framing/, networkErrors],
  });
  const page = await visit.context.newPage();
  await page.goto(`${shop.server.url}/sign-in`);
  await signIn(page, "alice");
  await page.waitForURL("**/account");
  await visit.context.route("https://evil.example/", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<iframe src="${shop.address().replaceAll("&", "&amp;")}"></iframe>`,
    }),
  );
  await page.goto("https://evil.example/");
  const frame = page.frames()[1];
  assert.ok(frame);
  assert.doesNotMatch(await frame.content(), /asks for access|Sign in/);
});

test("pages of authorization are readable in light and dark, narrow and wide", async (t) => {
  const shop = await openWith(t);
  const metadata = {
    redirect_uris: ["https://a-very-long-name-of-a-host.in-a-very-long-domain.example/callback"],
  };
  const name = "A client with a name that somebody has made very long, for reasons unknown";
  const added = await shop.server.app.clients.add({ name, type: "web", metadata }, operator, "dynamic");
  assert.ok(added.outcome === "added");
  shop.server.secrets.add(added.secret ?? "");
  const dynamic = { client_id: added.client.id, redirect_uri: metadata.redirect_uris[0] ?? "" };
  for (const [colorScheme, width] of [
    ["light", 1280],
    ["dark", 320],
  ] as const) {
    const visit = await browser.visit(t, {
      colorScheme,
      viewport: { width, height: 700 },
      expected: [networkErrors],
    });
    const page = await visit.context.newPage();
    const check = async (moment: string) => {
      const place = `${moment} ${colorScheme} ${width}`;
      assert.deepEqual(await accessibilityProblems(page), [], place);
      assert.equal(await overflowsSideways(page), false, place);
      await visit.screenshot(page, place);
    };
    await page.goto(`${shop.server.url}/oauth/authorize?client_id=nobody`);
    await check("trouble");
    await page.goto(shop.address({ prompt: "consent" }));
    await signIn(page, "alice");
    await check("consent");
    await page.goto(shop.address(dynamic));
    await check("consent, unchecked");
    await page.goto(shop.address({ prompt: "select_account" }));
    await check("choice");
    await page.goto(shop.address({ prompt: "consent", response_mode: "form_post" }));
    await visit.context.route("**/form-post-*.js", (route) => route.abort());
    await press(page, "Allow");
    await page.getByText("Press the button to go on.").waitFor();
    await check("form back");
    await page.goto(`${shop.server.url}/account`);
    await check("account with an application");
  }
});
