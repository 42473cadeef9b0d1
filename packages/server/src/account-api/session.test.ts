import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { browserAt, sameOrigin } from "../test-browser.ts";
import { assertRefusal, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";

const clock = stoppedClock();
let server: TestServer;

before(async () => {
  server = await startTestServer({ clock, settings: { allowedOrigins: ["https://app.example"] } });
});
after(() => server.close());

let users = 0;
const password = "correct horse battery";

async function signedIn(more: Parameters<TestServer["addUser"]>[1] = {}) {
  const username = `browser-${++users}`;
  const user = await server.addUser(username, more);
  const browser = browserAt(server);
  const reply = await browser.signIn(username);
  assert.equal(reply.status, 200, reply.text);
  return { user, username, browser, sessionId: reply.json.sessionId as string };
}

describe("signing in with a cookie", () => {
  test("DESIGN §6: mode cookie answers with the user and sets an opaque cookie, and no token", async () => {
    const { user, browser, sessionId } = await signedIn();
    const reply = await browser.signIn(user.username);
    assert.deepEqual(Object.keys(reply.json).sort(), ["sessionId", "user"]);
    assert.notEqual(reply.json.sessionId, sessionId);
    const [cookie = ""] = reply.headers.getSetCookie();
    assert.match(cookie, /^keyturn=kss_[A-Za-z0-9_-]{88}; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax$/);
    assert.equal(reply.headers.get("cache-control"), "no-store");
  });

  test("OWASP ASVS 5.0 §3.3.3: with an https issuer the cookie is __Host- and Secure, behind a proxy that ends TLS", async () => {
    const https = await startTestServer({
      clock,
      settings: { issuer: "https://auth.example", trustedProxies: 1 },
    });
    try {
      await https.addUser("alice");
      const forwarded = { "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https" };
      const browser = browserAt(https);
      const reply = await browser.call("/login", {
        json: { username: "alice", password, mode: "cookie" },
        headers: { ...forwarded, origin: "https://auth.example" },
      });
      assert.match(
        reply.headers.getSetCookie()[0] ?? "",
        /^__Host-keyturn=kss_[\w-]{88}; Max-Age=2592000; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      );
      assert.equal((await browser.session()).status, 200);
      const { sessions } = (await browser.call("/sessions")).json as { sessions: { ip: string }[] };
      assert.equal(sessions[0]?.ip, "203.0.113.7");
    } finally {
      await https.close();
    }
  });

  test("ASVS §7.2.4: signing in again makes a new session and ends the one before, as replaced", async () => {
    const { browser, username, sessionId } = await signedIn();
    const old = new Map(browser.jar);
    const again = await browser.signIn(username);
    assert.notEqual(again.json.sessionId, sessionId);
    const stale = await server.call("/session", { headers: { cookie: `keyturn=${old.get("keyturn")}` } });
    assertRefusal(stale, { status: 401, error: "invalid_session", reason: "replaced" });
    assert.equal((await browser.session()).status, 200);
    const session = await server.app.sessions.find(sessionId);
    assert.equal(session?.endReason, "replaced");
  });

  test("two sign-ins of one browser at once leave it signed in, whichever cookie stays", async () => {
    const { browser, username } = await signedIn();
    const replies = await Promise.all([browser.signIn(username), browser.signIn(username)]);
    assert.deepEqual(
      replies.map(({ status }) => status),
      [200, 200],
    );
    assert.equal((await browser.session()).status, 200);
  });

  test("a page of another site cannot sign a browser in: not by Origin, not by Fetch Metadata", async () => {
    const { username } = await signedIn();
    const before = await server.rows();
    for (const headers of [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { "sec-fetch-site": "" },
      { "sec-fetch-site": "same-origin, cross-site" },
      { origin: "https://elsewhere.example" },
      { origin: "null" },
      { origin: "https://app.example.evil.example" },
      { origin: "https://app.example:444" },
      { origin: "http://app.example" },
    ]) {
      const reply = await server.call("/login", {
        json: { username, password, mode: "cookie" },
        headers: headers as unknown as Record<string, string>,
      });
      assertRefusal(reply, { status: 403, error: "cross_site_request" });
      assert.deepEqual(reply.headers.getSetCookie(), []);
    }
    assert.equal(await server.rows(), before);
    // A program has no cookie that could be abused.
    assert.equal((await server.call("/login", { json: { username, password, mode: "cookie" } })).status, 200);
  });
});

describe("GET /session", () => {
  test("DESIGN §6: user, session id, and an access token that opens the API", async () => {
    const { browser, user, sessionId } = await signedIn({ roles: ["editor"] });
    const reply = await browser.session();
    assert.equal(reply.status, 200);
    const { accessToken, expiresIn, ...rest } = reply.json as Record<string, string | number>;
    assert.deepEqual(rest, {
      user: { ...(rest.user as unknown as object), id: user.id, username: user.username, roles: ["editor"] },
      sessionId,
    });
    assert.equal(expiresIn, 600);
    assert.equal(reply.headers.get("content-type"), "application/json");
    const me = await server.call("/me", { token: accessToken as string });
    assert.equal(me.json.id, user.id);
  });

  test("the token is minted anew only when more than half of its life is over", async () => {
    const { browser } = await signedIn();
    const first = (await browser.session()).json;
    clock.pass(299);
    const second = (await browser.session()).json;
    assert.equal(second.accessToken, first.accessToken);
    assert.equal(second.expiresIn, 301);
    clock.pass(2);
    const third = (await browser.session()).json;
    assert.notEqual(third.accessToken, first.accessToken);
    assert.equal(third.expiresIn, 600);
  });

  test("what changes about the user is in the next reply: roles, name, disabled", async () => {
    const { browser, user } = await signedIn({ roles: ["reader"] });
    await browser.session();
    clock.pass(1);
    await server.app.users.setRoles(user.id, ["editor"], { actor: "operator" });
    const { accessToken } = (await browser.session()).json as { accessToken: string };
    const verified = await server.app.guard.verify(accessToken);
    assert.deepEqual(verified.ok && verified.identity.roles, ["editor"]);
    await server.app.users.disable(user.id, { actor: "operator" });
    assertRefusal(await browser.session(), { status: 401, error: "invalid_session", reason: "revoked" });
  });

  test("401 without a cookie; with a forged, truncated, foreign or spoilt one; nothing is changed or cleared", async (context) => {
    const { browser } = await signedIn();
    const good = browser.jar.get("keyturn") ?? "";
    const foreign = await startTestServer({ clock });
    context.after(() => foreign.close());
    await foreign.addUser("alice");
    const other = browserAt(foreign);
    await other.signIn("alice");
    const before = await server.rows();
    assertRefusal(await server.call("/session"), { status: 401, error: "missing_session" });
    const { refreshToken } = await server.login((await signedIn()).username);
    const rows = await server.rows();
    const flipped = `${good.slice(0, 30)}${good[30] === "A" ? "B" : "A"}${good.slice(31)}`;
    for (const value of [
      "x",
      "",
      good.slice(0, -1),
      `${good}A`,
      flipped,
      good.toLowerCase(),
      refreshToken,
      other.jar.get("keyturn") ?? "",
      `kss_${"A".repeat(88)}`,
      "x".repeat(4000),
    ]) {
      for (const path of ["/session", "/sessions"]) {
        const reply = await server.call(path, { headers: { ...sameOrigin, cookie: `keyturn=${value}` } });
        assertRefusal(reply, { status: 401, error: "invalid_session", reason: "unknown" });
        assert.deepEqual(reply.headers.getSetCookie(), []);
      }
    }
    assert.equal(await server.rows(), rows);
    assert.notEqual(rows, before);
    assert.equal((await browser.session()).status, 200);
  });

  test("a cookie is no refresh token, and a refresh token no cookie", async () => {
    const { browser } = await signedIn();
    const refreshToken = browser.jar.get("keyturn");
    const reply = await server.call("/refresh", { json: { refreshToken } });
    assertRefusal(reply, { status: 401, error: "invalid_refresh_token", reason: "malformed" });
  });

  test("idle for too long, or at its end, the session is over; a use keeps it from idling", async () => {
    const day = 24 * 3600;
    const { browser } = await signedIn();
    for (let days = 0; days < 20; days += 10) {
      clock.pass(10 * day);
      assert.equal((await browser.session()).status, 200);
      await server.app.browsing.drained();
    }
    clock.pass(9 * day);
    assert.equal((await browser.session()).status, 200);
    await server.app.browsing.drained();
    clock.pass(1 * day);
    assertRefusal(await browser.session(), { status: 401, error: "invalid_session", reason: "expired" });
    const idle = await signedIn();
    clock.pass(14 * day + 1);
    assertRefusal(await idle.browser.session(), { status: 401, error: "invalid_session", reason: "expired" });
  });

  test("last use is written at most once a minute, by whatever number of requests", async () => {
    const { browser, sessionId } = await signedIn();
    const lastUse = async () => {
      await server.app.browsing.drained();
      return (await server.app.sessions.find(sessionId))?.lastUsedAt ?? 0;
    };
    const first = await lastUse();
    clock.pass(59);
    await Promise.all(Array.from({ length: 20 }, () => browser.session()));
    assert.equal(await lastUse(), first);
    clock.pass(1);
    await Promise.all(Array.from({ length: 20 }, () => browser.session()));
    assert.equal(await lastUse(), first + 60_000);
    clock.pass(30);
    await browser.session();
    assert.equal(await lastUse(), first + 60_000);
  });

  test("a page of another site is refused", async () => {
    const { browser } = await signedIn();
    const reply = await browser.call("/session", { headers: { "sec-fetch-site": "cross-site" } });
    assertRefusal(reply, { status: 403, error: "cross_site_request" });
  });
});

describe("what a cookie may do", () => {
  test("it opens what an access token opens: me, devices, ending them", async () => {
    const { browser, user, sessionId } = await signedIn();
    assert.equal((await browser.call("/me")).json.id, user.id);
    const app = await server.login(user.username, { device: "phone" });
    const { sessions } = (await browser.call("/sessions")).json as {
      sessions: { id: string; kind: string; current: boolean }[];
    };
    assert.deepEqual(
      sessions.map(({ id, kind, current }) => [id, kind, current]),
      [
        [app.sessionId, "app", false],
        [sessionId, "browser", true],
      ],
    );
    assert.equal((await browser.call(`/sessions/${app.sessionId}`, { method: "DELETE" })).status, 204);
    assert.equal((await server.call("/me", { token: app.accessToken })).status, 401);
  });

  test("a state-changing request with a cookie is refused when neither Origin nor Fetch Metadata is there", async () => {
    const { browser, sessionId } = await signedIn();
    const cookie = `keyturn=${browser.jar.get("keyturn")}`;
    const before = await server.rows();
    const tries = [
      ["/logout", "POST"],
      ["/sessions", "DELETE"],
      [`/sessions/${sessionId}`, "DELETE"],
      ["/password", "POST"],
      ["/login", "POST"],
    ] as const;
    for (const [path, method] of tries) {
      for (const headers of [
        {},
        { origin: "https://elsewhere.example" },
        { origin: "null" },
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { origin: "https://elsewhere.example", "sec-fetch-site": "same-site" },
      ]) {
        const json =
          path === "/password"
            ? { currentPassword: password, newPassword: "another good one" }
            : path === "/login"
              ? { username: "x", password, mode: "cookie" }
              : undefined;
        const reply = await server.call(path, {
          method,
          headers: { ...(headers as Record<string, string>), cookie },
          ...(json && { json }),
        });
        assertRefusal(reply, { status: 403, error: "cross_site_request" });
        assert.doesNotMatch(reply.text, /elsewhere/);
      }
    }
    assert.equal(await server.rows(), before);
  });

  test("the Origin of this server and those that the settings allow are enough", async () => {
    for (const origin of [server.issuer, "https://app.example"]) {
      const { browser } = await signedIn();
      const cookie = `keyturn=${browser.jar.get("keyturn")}`;
      const reply = await server.call("/logout", { method: "POST", headers: { cookie, origin } });
      assert.equal(reply.status, 204);
    }
  });

  test("an access token that is sent counts, whatever cookie comes along", async () => {
    const { browser } = await signedIn();
    const other = await signedIn();
    const { accessToken } = (await other.browser.session()).json as { accessToken: string };
    const cookie = `keyturn=${browser.jar.get("keyturn")}`;
    const me = await server.call("/me", { token: accessToken, headers: { cookie } });
    assert.equal(me.json.id, other.user.id);
  });
});

describe("signing out", () => {
  test("ends the session, takes the cookie away, and the access token dies with it", async () => {
    const { browser, sessionId } = await signedIn();
    const { accessToken } = (await browser.session()).json as { accessToken: string };
    const kept = browser.jar.get("keyturn");
    const reply = await browser.call("/logout", { method: "POST" });
    assert.equal(reply.status, 204);
    assert.match(reply.headers.getSetCookie()[0] ?? "", /^keyturn=; Max-Age=0; Path=\/; HttpOnly/);
    assert.equal(browser.jar.size, 0);
    assert.equal((await server.call("/me", { token: accessToken })).status, 401);
    const headers = { ...sameOrigin, cookie: `keyturn=${kept}` };
    assertRefusal(await server.call("/session", { headers }), {
      status: 401,
      error: "invalid_session",
      reason: "revoked",
    });
    // Signing out twice is no error.
    assert.equal((await server.call("/logout", { method: "POST", headers })).status, 204);
    assert.equal((await server.app.sessions.find(sessionId))?.endReason, "signed_out");
  });

  test("everywhere: the other sessions of the user end too", async () => {
    const { browser, user } = await signedIn();
    const app = await server.login(user.username);
    const reply = await browser.call("/logout", { json: { everywhere: true } });
    assert.equal(reply.status, 204);
    assert.equal((await server.call("/me", { token: app.accessToken })).status, 401);
  });
});

describe("CORS", () => {
  test("Fetch §3.2: an allowed origin is answered with credentials, another with nothing", async () => {
    const ask = (origin: string) =>
      server.callQuietly("/refresh", {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "content-type,dpop,idempotency-key",
        },
      });
    const allowed = await ask("https://app.example");
    assert.equal(allowed.status, 204);
    assert.equal(allowed.headers.get("access-control-allow-origin"), "https://app.example");
    assert.equal(allowed.headers.get("access-control-allow-credentials"), "true");
    assert.match(allowed.headers.get("access-control-allow-headers") ?? "", /Idempotency-Key/);
    const refused = await ask("https://elsewhere.example");
    assert.equal(refused.headers.get("access-control-allow-origin"), null);
    const called = await server.call("/session", { headers: { origin: "https://app.example" } });
    assert.equal(called.status, 401);
    assert.equal(called.headers.get("access-control-allow-origin"), "https://app.example");
    assert.match(called.headers.get("vary") ?? "", /Origin/);
    const other = await server.call("/session", { headers: { origin: "https://elsewhere.example" } });
    assert.equal(other.headers.get("access-control-allow-origin"), null);
  });
});
