import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { decodeJwt } from "jose";
import { raw } from "sql-template-tag";
import { auditStatement } from "../audit/audit.ts";
import { assertLacks, readable, type TestBrowser, testBrowser } from "../pages/test-browser.ts";
import { limits } from "../primitives/limits.ts";
import { startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { userCodeFrom } from "./device-codes.ts";
import {
  addClient,
  assertOauthError,
  DEVICE_GRANT,
  type Fields,
  keyOf,
  type TestClient,
  tokensOf,
} from "./test-grants.ts";

const clock = stoppedClock();
let server: TestServer;
let tv: TestClient;
let userId: string;
let browser: TestBrowser;

const grant_types = [DEVICE_GRANT, "refresh_token"] as const;
const device = (more = {}) =>
  addClient(server, "native", {
    redirect_uris: [],
    response_types: [],
    grant_types: [...grant_types],
    ...more,
  });

before(async () => {
  server = await startTestServer({ clock, settings: { scopes: ["read", "write"] } });
  tv = await device();
  userId = (await server.addUser("alice", { name: "Alice" })).id;
  browser = testBrowser(server);
  await browser.signIn("alice");
});
beforeEach(() => server.forgetLimits());
after(() => server.close());

interface Begun {
  readonly device_code: string;
  readonly user_code: string;
  readonly verification_uri: string;
  readonly verification_uri_complete: string;
  readonly expires_in: number;
  readonly interval: number;
}

async function begin(client = tv, fields: Fields = { scope: "openid read" }): Promise<Begun> {
  const reply = await client.post("/oauth/device", fields);
  assert.equal(reply.status, 200, reply.text);
  return reply.json as unknown as Begun;
}

const poll = (code: string, client = tv, headers = {}) =>
  client.token({ grant_type: DEVICE_GRANT, device_code: code }, headers);

async function decide(code: string, decision = "allow", by = browser) {
  const page = await by.open(`/device?user_code=${code}`);
  assert.equal(page.status, 200, readable(page));
  return by.submit(page, "/device", { decision });
}

describe("the codes", () => {
  test("RFC 8628 §3.2: the code for the device, and eight letters for its user, where to type them, and how long", async () => {
    const begun = await begin();
    assert.match(begun.user_code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
    assert.match(begun.device_code, /^ktd_[\w-]{43}$/);
    assert.equal(begun.verification_uri, `${server.issuer}/device`);
    assert.equal(begun.verification_uri_complete, `${server.issuer}/device?user_code=${begun.user_code}`);
    assert.deepEqual([begun.expires_in, begun.interval], [900, 5]);
    const { json } = await server.call("/.well-known/openid-configuration");
    assert.equal(json.device_authorization_endpoint, `${server.issuer}/oauth/device`);
    assert.ok((json.grant_types_supported as string[]).includes(DEVICE_GRANT));
  });

  test("nothing that can be presented is stored: neither code is in the database", async () => {
    const { device_code, user_code } = await begin();
    const rows = await server.place.database.all(raw("SELECT * FROM device_authorizations"));
    const text = JSON.stringify(
      rows.map((row) =>
        Object.values(row).map((one) =>
          one instanceof Uint8Array ? Buffer.from(one).toString("latin1") : one,
        ),
      ),
    );
    for (const secret of [device_code, user_code, user_code.replace("-", "")])
      assertLacks(text, new RegExp(secret));
  });

  test("RFC 8628 §6.1: small letters, spaces and other hyphens are the same code; what is no code is none", () => {
    for (const typed of ["BCDF-GHJK", "bcdfghjk", " b c d f - g h j k ", "BCDF–GHJK"]) {
      assert.equal(userCodeFrom(typed), "BCDFGHJK");
    }
    for (const typed of [
      "",
      "BCDF",
      "BCDF-GHJKL",
      "BCDF-GHJ1",
      "AEIO-UAEI",
      "B".repeat(5000),
      "\u0000".repeat(8),
    ]) {
      assert.equal(userCodeFrom(typed), undefined);
    }
  });

  test("RFC 6749 §5.2: only clients that are registered for it, with scopes and resources that they may have", async () => {
    const web = await addClient(server, "web");
    assertOauthError(await web.post("/oauth/device", {}), "unauthorized_client");
    assertOauthError(await tv.post("/oauth/device", { scope: "nonsense" }), "invalid_scope");
    assertOauthError(
      await tv.post("/oauth/device", { resource: "https://unknown.example" }),
      "invalid_target",
    );
    assertOauthError(await tv.post("/oauth/device", { client_id: "nobody" }), "invalid_client", 401);
  });

  test("RFC 8628 §5.1: who begins without end from one address is told to wait", async () => {
    let reply = await tv.post("/oauth/device", {});
    for (let begun = 0; begun < 100 && reply.status === 200; begun++)
      reply = await tv.post("/oauth/device", {});
    assertOauthError(reply, "too_many_attempts", 429);
    assert.match(reply.headers.get("retry-after") ?? "", /^\d+$/);
  });
});

describe("asking", () => {
  test("RFC 8628 §3.5: authorization_pending at the interval, slow_down and five seconds more when sooner", async () => {
    const { device_code } = await begin();
    assertOauthError(await poll(device_code), "authorization_pending");
    clock.pass(1);
    assertOauthError(await poll(device_code), "slow_down");
    clock.pass(6);
    assertOauthError(await poll(device_code), "slow_down");
    clock.pass(15);
    assertOauthError(await poll(device_code), "authorization_pending");
    clock.pass(14);
    assertOauthError(await poll(device_code), "authorization_pending", 400);
    clock.pass(7);
    assertOauthError(await poll(device_code), "slow_down");
  });

  test("RFC 8628 §3.5: expired_token after its time, and the page knows the code no more", async () => {
    const { device_code, user_code } = await begin();
    clock.pass(limits.deviceCodeSeconds);
    assertOauthError(await poll(device_code), "expired_token");
    assert.equal((await browser.open(`/device?user_code=${user_code}`)).status, 422);
  });

  test("RFC 8628 §3.5: access_denied when the person has denied it", async () => {
    const { device_code, user_code } = await begin();
    const page = await browser.follow(await decide(user_code, "deny"));
    assert.match(readable(page), /was denied/);
    assertOauthError(await poll(device_code), "access_denied");
    assertOauthError(await poll(device_code), "access_denied");
  });

  test("another client's device code, and what is none, are invalid_grant, and tell nothing", async () => {
    const { device_code, user_code } = await begin();
    await decide(user_code);
    const other = await device();
    for (const code of [device_code, "ktd_x", "x", "\u0000", "é".repeat(100)]) {
      assertOauthError(await poll(code, other), "invalid_grant");
    }
    assertOauthError(await tv.token({ grant_type: DEVICE_GRANT }), "invalid_request");
    tokensOf(await poll(device_code));
  });
});

describe("let in", () => {
  test("a session of its own, of the scopes that were asked, with tokens that refresh; the account's owner sees it", async () => {
    const { device_code, user_code } = await begin();
    await decide(user_code);
    const { claims, json, refreshToken, idToken = "" } = tokensOf(await poll(device_code));
    assert.equal(json.scope, "openid read");
    assert.equal(claims.sub, userId);
    assert.equal(decodeJwt(idToken).sub, userId);
    assert.deepEqual(claims.amr, ["pwd"]);
    const session = await server.app.sessions.find(String(claims.sid));
    assert.equal(session?.kind, "client");
    assert.equal(session?.parent, undefined);
    tokensOf(await tv.refresh(refreshToken));
    assert.match(readable(await browser.open("/account")), new RegExp(tv.client.name));
  });

  test("it goes on when the browser that let it in signs out", async () => {
    const telephone = testBrowser(server);
    await telephone.signIn("alice");
    const { device_code, user_code } = await begin();
    await decide(user_code, "allow", telephone);
    const { refreshToken } = tokensOf(await poll(device_code));
    const page = await telephone.open("/sign-out");
    await telephone.submit(page, "/sign-out");
    tokensOf(await tv.refresh(refreshToken));
  });

  test("16 polls at once: one session, one refresh token, no error; a lost reply is answered again within the grace", async () => {
    const { device_code, user_code } = await begin();
    await decide(user_code);
    const before = await server.countRows("sessions");
    const replies = await Promise.all(Array.from({ length: 16 }, () => poll(device_code)));
    const tokens = replies.map(tokensOf);
    assert.equal(new Set(tokens.map((one) => one.refreshToken)).size, 1);
    assert.equal(await server.countRows("sessions"), before + 1);
    clock.pass(server.app.settings.refreshGraceSeconds);
    const again = tokensOf(await poll(device_code));
    assert.equal(again.refreshToken, tokens[0]?.refreshToken);
    clock.pass(1);
    assertOauthError(await poll(device_code), "invalid_grant");
    tokensOf(await tv.refresh(again.refreshToken));
  });

  test("once its refresh token was used, the device code is worth nothing", async () => {
    const { device_code, user_code } = await begin();
    await decide(user_code);
    const { refreshToken } = tokensOf(await poll(device_code));
    tokensOf(await tv.refresh(refreshToken));
    assertOauthError(await poll(device_code), "invalid_grant");
  });

  test("a session that was ended is not had again by its device code", async () => {
    const { device_code, user_code } = await begin();
    await decide(user_code);
    const { claims } = tokensOf(await poll(device_code));
    await server.app.sessions.end(String(claims.sid), { actor: "user", reason: "ended_by_user" });
    assertOauthError(await poll(device_code), "invalid_grant");
  });

  test("a client without the refresh grant gets an access token alone, and its session ends with it", async () => {
    const client = await device({ grant_types: [DEVICE_GRANT] });
    const { device_code, user_code } = await begin(client);
    await decide(user_code);
    const { json, claims } = tokensOf(await poll(device_code, client));
    assert.equal(json.refresh_token, undefined);
    const session = await server.app.sessions.find(String(claims.sid));
    assert.equal(session?.expiresAt, clock.now() + server.app.settings.accessTokenSeconds * 1000);
  });

  test("RFC 9449 §5: a public device's session is bound to the key of its poll, also when it asks again", async () => {
    const [key, other] = [await keyOf(server, clock), await keyOf(server, clock)];
    const { device_code, user_code } = await begin();
    await decide(user_code);
    const { refreshToken, json } = tokensOf(await poll(device_code, tv, await key.proof()));
    assert.equal(json.token_type, "DPoP");
    assertOauthError(await poll(device_code, tv, await other.proof()), "invalid_dpop_proof");
    assertOauthError(await poll(device_code), "invalid_dpop_proof");
    tokensOf(await poll(device_code, tv, await key.proof()));
    assertOauthError(await tv.refresh(refreshToken), "invalid_dpop_proof");
    tokensOf(await tv.refresh(refreshToken, {}, await key.proof()));
  });

  test("a person who was disabled after they said yes lets nobody in", async () => {
    const mallory = await server.addUser("mallory");
    const theirs = testBrowser(server);
    await theirs.signIn("mallory");
    const { device_code, user_code } = await begin();
    await decide(user_code, "allow", theirs);
    await server.app.users.disable(mallory.id, { actor: "operator" });
    assertOauthError(await poll(device_code), "access_denied");
  });
});

describe("the page", () => {
  test("a stranger is sent to sign in, and back with the code", async () => {
    const stranger = testBrowser(server);
    const reply = await stranger.open("/device?user_code=BCDF-GHJK");
    assert.equal(
      reply.headers.get("location"),
      `/sign-in?return_to=${encodeURIComponent("/device?user_code=BCDF-GHJK")}`,
    );
  });

  test("RFC 8628 §5.4: it shows the code to compare, who asks for what, and warns; nothing happens by opening it", async () => {
    const named = await device({ scope: "openid profile read" });
    const { device_code, user_code } = await begin(named, {});
    const page = await browser.open(`/device?user_code=${user_code.toLowerCase()}`);
    const text = readable(page);
    for (const part of [user_code, named.client.name, "know who you are", "use “read”", "deny", "Alice"]) {
      assert.ok(text.includes(part), `${part} in ${text}`);
    }
    assertOauthError(await poll(device_code, named), "authorization_pending");
  });

  test("a form that another site sends, or one without its token, lets nobody in", async () => {
    const { device_code, user_code } = await begin();
    const page = await browser.open(`/device?user_code=${user_code}`);
    assert.equal(page.status, 200);
    const fields = { user_code, decision: "allow" };
    const cross = await browser.post("/device", fields, { "sec-fetch-site": "cross-site" });
    assert.equal(cross.status, 403);
    assert.equal((await browser.post("/device", fields, { "sec-fetch-site": "same-origin" })).status, 403);
    assertOauthError(await poll(device_code), "authorization_pending");
  });

  test("of two decisions the first one counts", async () => {
    const { device_code, user_code } = await begin();
    const page = await browser.open(`/device?user_code=${user_code}`);
    await browser.submit(page, "/device", { decision: "deny" });
    assert.equal((await browser.submit(page, "/device", { decision: "allow" })).status, 422);
    assertOauthError(await poll(device_code), "access_denied");
    const other = await begin();
    const replies = await Promise.all(
      ["allow", "deny"].map(async (decision) => decide(other.user_code, decision).catch(() => undefined)),
    );
    assert.equal(replies.filter((reply) => reply?.status === 303).length, 1);
  });

  test("RFC 8628 §5.1: wrong codes are limited, by person and by address; right ones are not counted", async () => {
    const { user_code } = await begin();
    for (let look = 0; look < 30; look++) {
      assert.equal((await browser.open(`/device?user_code=${user_code}`)).status, 200);
    }
    let status = 422;
    for (let guess = 0; guess < 20 && status === 422; guess++) {
      status = (await browser.open("/device?user_code=BBBB-BBBB")).status;
    }
    assert.equal(status, 429);
    const reply = await browser.open(`/device?user_code=${user_code}`);
    assert.equal(reply.status, 429);
    assert.match(reply.headers.get("retry-after") ?? "", /^\d+$/);
  });

  test("hostile codes and decisions come back as text, or as a mistake", async () => {
    const mark = `"><img src=x onerror=alert(1)>`;
    const page = await browser.open(`/device?user_code=${encodeURIComponent(mark)}`);
    assert.equal(page.status, 422);
    assertLacks(page.text, /<img/);
    const { user_code } = await begin();
    assert.equal((await decide(user_code, "maybe")).status, 400);
    assert.equal((await browser.open("/device?user_code=")).status, 422);
    assert.equal((await browser.open("/device?done=nonsense")).status, 200);
  });

  test("what belongs to the yes is done in its transaction, once, and not by a no", async () => {
    const [session] = await server.app.sessions.list({ userId, alive: true });
    assert.ok(session);
    const notes = async () =>
      (await server.app.audit.list({})).filter(({ type }) => type === "session.proven_again").length;
    const say = async (code: string, isAllowed: boolean) =>
      server.app.deviceCodes.decide(code, {
        session,
        isAllowed,
        ip: undefined,
        also: ({ clientId }) => [
          auditStatement(clock.now(), { type: "session.proven_again", actor: "user", clientId }),
        ],
      });
    const [yes, no] = [await begin(), await begin()];
    await Promise.all([say(yes.user_code, true), say(yes.user_code, true), say(yes.user_code, true)]);
    await say(no.user_code, false);
    assert.equal(await notes(), 1);
  });

  test("what is asked, allowed and denied is in the audit log", async () => {
    const { user_code } = await begin();
    await decide(user_code);
    const events = await server.app.audit.list({});
    const types = events.map(({ type }) => type);
    for (const type of ["device.requested", "device.allowed"] as const) assert.ok(types.includes(type), type);
    const found = events.find(({ type }) => type === "device.allowed");
    assert.deepEqual([found?.userId, found?.clientId, found?.actor], [userId, tv.id, "user"]);
  });
});

test("a device that was let in gets nothing once its user has withdrawn what it was given", async () => {
  const { device_code, user_code } = await begin();
  await decide(user_code);
  const page = await browser.open("/account");
  const withdrawn = await browser.submit(page, "/account/applications/withdraw", { client: tv.client.id });
  assert.equal(withdrawn.headers.get("location"), "/account?notice=withdrawn");
  const sessions = await server.countRows("sessions");
  assertOauthError(await poll(device_code), "access_denied");
  assert.equal(await server.countRows("sessions"), sessions);
});

test("what has expired is deleted", async () => {
  await begin();
  clock.pass(limits.deviceCodeSeconds + 61);
  await server.app.deviceCodes.deletePast();
  assert.equal(await server.countRows("device_authorizations"), 0);
});
