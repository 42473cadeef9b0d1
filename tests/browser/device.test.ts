import assert from "node:assert/strict";
import { test } from "node:test";
import { accessibilityProblems, networkErrors, overflowsSideways, useBrowser } from "./browser.ts";
import { openBareServer } from "./house.ts";

const PASSWORD = "correct horse battery";
const GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const FORM = { "content-type": "application/x-www-form-urlencoded" };
const browser = useBrowser();

test("RFC 8628: a television is let in by a telephone that follows its link, without scripts", async (t) => {
  const server = await openBareServer(t);
  await server.addUser("alice", { name: "Alice Moreau" });
  const added = await server.app.clients.add(
    {
      name: "Television in the living room",
      id: "tv",
      type: "native",
      metadata: { grant_types: [GRANT, "refresh_token"], response_types: [] },
    },
    { actor: "operator" },
  );
  assert.equal(added.outcome, "added");
  const begun = await server.call("/oauth/device", {
    body: "client_id=tv&scope=openid%20profile",
    headers: FORM,
  });
  const { device_code, user_code, verification_uri_complete } = begun.json as Record<string, string>;
  const visit = await browser.visit(t, {
    javaScriptEnabled: false,
    viewport: { width: 320, height: 640 },
    colorScheme: "dark",
    expected: [networkErrors],
  });
  const page = await visit.context.newPage();
  const check = async (moment: string) => {
    assert.equal(await overflowsSideways(page), false, moment);
    await visit.screenshot(page, moment);
  };
  await page.goto(verification_uri_complete ?? "");
  await page.getByLabel("Username or e-mail address").fill("alice");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  const text = async () => (await page.locator("main").textContent()) ?? "";
  assert.match(await text(), new RegExp(`${user_code}[\\s\\S]*Alice Moreau`));
  await check("device, asked");
  await page.getByRole("button", { name: "Let it in", exact: true }).click();
  assert.match(await text(), /The device is let in/);
  await check("device, let in");
  const body = new URLSearchParams({ grant_type: GRANT, client_id: "tv", device_code: device_code ?? "" });
  const tokens = await server.call("/oauth/token", { body: body.toString(), headers: FORM });
  assert.equal(tokens.status, 200, tokens.text);
  server.secrets.add(String(tokens.json.access_token));
  await page.goto(`${server.url}/account`);
  assert.match(await text(), /Television in the living room/);
});

test("the pages of devices are readable in light and dark, and a mistyped code is told at its field", async (t) => {
  const server = await openBareServer(t);
  await server.addUser("alice");
  const added = await server.app.clients.add(
    { name: "TV", id: "tv", type: "native", metadata: { grant_types: [GRANT], response_types: [] } },
    { actor: "operator" },
  );
  assert.equal(added.outcome, "added");
  const begun = await server.call("/oauth/device", { body: "client_id=tv", headers: FORM });
  for (const look of [
    { colorScheme: "light", width: 1280 },
    { colorScheme: "dark", width: 320 },
  ] as const) {
    const visit = await browser.visit(t, {
      colorScheme: look.colorScheme,
      viewport: { width: look.width, height: 700 },
      expected: [networkErrors],
    });
    const page = await visit.context.newPage();
    await page.goto(`${server.url}/device`);
    await page.getByLabel("Username or e-mail address").fill("alice");
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    for (const path of ["/device", `/device?user_code=${begun.json.user_code}`, "/device?done=denied"]) {
      await page.goto(server.url + path);
      assert.deepEqual(await accessibilityProblems(page), [], `${path} ${look.colorScheme}`);
      assert.equal(await overflowsSideways(page), false, path);
    }
    await page.goto(`${server.url}/device`);
    await page.getByLabel("Code on your device").fill("BCDF-GHJ");
    await page.getByRole("button", { name: "Go on" }).click();
    assert.match((await page.locator("main").textContent()) ?? "", /This code is not waiting here/);
    assert.deepEqual(await accessibilityProblems(page), [], "mistyped");
    await visit.screenshot(page, `device, mistyped ${look.colorScheme}`);
  }
});
