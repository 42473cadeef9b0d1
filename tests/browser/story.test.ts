import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { runCommand } from "../../packages/server/src/cli/test-command.ts";
import { CLIENT, openPort, startForeignProvider } from "../providers/foreign-provider.ts";
import { accessibilityProblems, networkErrors, overflowsSideways, useBrowser } from "./browser.ts";
import { closeAfter } from "./closing.ts";
import { openBareServer } from "./house.ts";

/**
 * One person's story: with a real OpenID provider, the authenticator that Chromium plays, the pages as they are, and
 * an operator at a terminal.
 */

const browser = useBrowser();
async function look(page: Page, what: string): Promise<void> {
  assert.deepEqual(await accessibilityProblems(page), [], what);
  assert.ok(!(await overflowsSideways(page)), what);
}

const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

test("a person signs up by a provider, adds a passkey, removes the provider, loses the passkey, comes back by a recovery code, and an operator reads it", async (t) => {
  // The provider is another site to the browser, and a passkey is of a name: localhost.
  const port = await openPort();
  closeAfter(t, port.close);
  const server = await openBareServer(t, {
    hostname: "localhost",
    settings: { privateHosts: [port.host] },
  });
  const url = server.issuer;
  const foreign = await startForeignProvider(port, `${url}/sign-in/with/corp/callback`);
  const corp = { preset: "oidc", id: "corp", label: "Corp", issuer: foreign.issuer } as const;
  await server.app.providers.add(
    { ...corp, clientId: CLIENT.id, secret: CLIENT.secret },
    { actor: "operator" },
  );
  foreign.isNow({ sub: "1", preferred_username: "nora" });

  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await visit.context.newPage();
  // Else the authenticator would answer the offer before anybody can press the button.
  await page.addInitScript(() => {
    PublicKeyCredential.isConditionalMediationAvailable = async () => false;
  });
  const devtools = await visit.context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const options = {
    protocol: "ctap2",
    transport: "internal",
    hasResidentKey: true,
    hasUserVerification: true,
    isUserVerified: true,
    automaticPresenceSimulation: true,
  } as const;
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", { options });

  // Signs up by the provider.
  await page.goto(`${url}/sign-in`);
  await press(page, "Continue with Corp");
  await page.waitForURL(`${url}/account`);
  // Adds a passkey, and gets recovery codes.
  await page.getByRole("link", { name: "Passkeys and codes" }).click();
  await page.getByLabel("Name of the new passkey").fill("phone");
  await press(page, "Add a passkey");
  await page.getByRole("heading", { name: "Your recovery codes" }).waitFor();
  const codes = await page.locator(".codes li").allTextContents();
  for (const code of codes) server.secrets.add(code);
  // Removes the provider: the provider's word alone is no proof any more, the passkey is.
  await page.goto(`${url}/account`);
  await press(page, "Disconnect Corp");
  await page.waitForURL(/\/sign-in\?as=someone-else/);
  await press(page, "Use a passkey");
  await page.waitForURL(`${url}/account`);
  await press(page, "Disconnect Corp");
  await page.waitForURL("**/account?notice=disconnected");

  // Loses the passkey, and everything else that the device had.
  await devtools.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId });
  await visit.context.clearCookies();
  // The provider is no way back: whoever comes by it now is somebody new.
  assert.equal((await server.app.users.list()).length, 1);

  // Comes back by a recovery code.
  await page.goto(`${url}/sign-in`);
  await page.getByRole("link", { name: "Lost your passkey?" }).click();
  await page.getByLabel("Username or e-mail address").fill("nora");
  await page.getByLabel("Recovery code").fill("0000-0000-0000-0000-0000-0000");
  await press(page, "Sign in");
  await page.getByRole("alert").waitFor();
  await look(page, "a code that is none");
  await page.getByLabel("Recovery code").fill(codes[3] ?? "");
  await press(page, "Sign in");
  await page.waitForURL(`${url}/account`);
  await page.getByRole("heading", { name: "Get a new way to sign in now" }).waitFor();
  await look(page, "the account of who came back");
  await page.getByRole("link", { name: "Set a password" }).first().click();
  const password = "a password at last";
  server.secrets.add(password);
  await page.getByLabel("Password").fill(password);
  await page.locator("main form button").click();
  await page.waitForURL("**/account?notice=password-changed");
  await page.getByRole("link", { name: "Passkeys and codes" }).first().click();
  await press(page, "Remove phone");
  await page.waitForURL("**/account/factors?notice=factor-removed");

  // The operator reads the story.
  const config = path.join(server.data, "keyturn.config.json");
  const { database, data, issuer } = server.app.settings;
  writeFileSync(config, JSON.stringify({ database, data, issuer, logLevel: "error" }));
  const ran = await runCommand(["user", "story", "nora", "--json", "--config", config]);
  assert.equal(ran.exitCode, 0, ran.stderr);
  const { events } = ran.json() as { events: { type: string; detail: Record<string, unknown> }[] };
  const told = events.map(({ type, detail }) =>
    [type, detail.provider ?? detail.reason ?? detail.amr].filter((one) => one !== undefined).join(" "),
  );
  assert.deepEqual(told, [
    "user.registered corp",
    "identity.linked corp",
    "session.started fed",
    "passkey.added",
    "recovery_codes.made",
    "session.started hwk user mfa",
    "session.ended replaced",
    "identity.unlinked corp",
    "sign_in.failed recovery_code",
    "session.started otp recovery",
    "recovery_code.used",
    "password.changed",
    "passkey.removed",
  ]);
  assert.doesNotMatch(ran.stdout, new RegExp(codes.join("|")));
});
