import assert from "node:assert/strict";
import type { App } from "../../app.ts";
import type { TestServer } from "../../test-server.ts";
import type { User } from "../user.ts";
import type { Own } from "./managing.ts";
import { createTestAuthenticator } from "./test-authenticator.ts";

/** The code that an authenticator app shows at a time. */
export async function codeAt(secret: string, milliseconds: number): Promise<string> {
  const { Secret, TOTP } = await import("otpauth");
  return new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: milliseconds });
}

/** Somebody signed in, as the account page sees them. */
export async function ownOf(app: App, user: User): Promise<Own> {
  const arrived = await app.arrivals.enter(user, { clientId: "first-party", kind: "browser", amr: ["pwd"] });
  assert.ok(arrived);
  return { user, session: arrived.session, ip: undefined };
}

/** Sets an authenticator app up; the code of the time it was set up at is used. */
export async function addTotp(server: TestServer, user: User) {
  const { app } = server;
  const own = await ownOf(app, user);
  const pending = await app.factors.managing.beginTotp(own);
  assert.ok(pending);
  server.secrets.add(pending.secret);
  const at = app.database.clock.now();
  const added = await app.factors.managing.addTotp(own, await codeAt(pending.secret, at));
  assert.ok(added.outcome === "added");
  for (const code of added.recoveryCodes ?? []) server.secrets.add(code);
  const code = (seconds: number) => codeAt(pending.secret, at + seconds * 1000);
  return { ...pending, recoveryCodes: added.recoveryCodes ?? [], code };
}

export async function addPasskey(server: TestServer, user: User, options: { isSyncable?: boolean } = {}) {
  const { app } = server;
  const own = await ownOf(app, user);
  const authenticator = createTestAuthenticator({ issuer: app.settings.issuer, ...options });
  const asked = (await app.factors.managing.passkeyOptions(own)) as Asked;
  const response = authenticator.create({ challenge: asked.challenge });
  const added = await app.factors.managing.addPasskey(own, { response, name: "test key" });
  assert.ok(added.outcome === "added");
  return { authenticator, userHandle: asked.user?.id, recoveryCodes: added.recoveryCodes ?? [] };
}

export interface Asked {
  readonly challenge: string;
  readonly user?: { readonly id: string };
}
