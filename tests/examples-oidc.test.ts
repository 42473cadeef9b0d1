import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { createLogoutTokens } from "../examples/oidc-web/logout-token.ts";
import type { Leaving, Session } from "../examples/oidc-web/provider.ts";
import { createSite } from "../examples/oidc-web/site.ts";

/** What examples/oidc-web refuses: people copy it. In the hands of a person: tests/browser/examples-oidc.test.ts. */

const issuer = "https://auth.example.com";
const clientId = "shop";
const url = "https://shop.example.com";
const event = "http://schemas.openid.net/event/backchannel-logout";
const [own, foreign] = await Promise.all([generateKeyPair("RS256"), generateKeyPair("RS256")]);
const good = {
  iss: issuer,
  aud: clientId,
  sub: "ann",
  sid: "one",
  jti: "a",
  events: { [event]: {} },
};

interface Forged {
  readonly claims?: Record<string, unknown>;
  readonly typ?: string;
  readonly isForeign?: boolean;
  readonly age?: number;
}

function tokenOf({ claims = {}, typ = "logout+jwt", isForeign = false, age = 0 }: Forged): Promise<string> {
  const at = Math.floor(Date.now() / 1000) - age;
  return new SignJWT({ iat: at, exp: at + 120, ...good, ...claims })
    .setProtectedHeader({ alg: "RS256", typ })
    .sign((isForeign ? foreign : own).privateKey);
}

const logoutTokens = () =>
  createLogoutTokens({ issuer, clientId, keys: async () => ({ ...(await exportJWK(own.publicKey)) }) });

/** The site with a provider that lets in whoever comes back, as ann with the sid `one`, or as the name in the code. */
function openSite() {
  const site = createSite({
    issuer,
    url,
    logoutTokens: logoutTokens(),
    provider: {
      begin: async (returnTo) => {
        const leaving: Leaving = { state: "s", nonce: "n", verifier: "v", returnTo };
        return { location: new URL(`${issuer}/authorize`), leaving };
      },
      finish: async (cameBackTo): Promise<Session> => {
        const sid = cameBackTo.searchParams.get("code") ?? "one";
        const tokens = { idToken: "i", accessToken: "a", refreshToken: "r", goodUntil: Date.now() + 60_000 };
        return { subject: "ann", sid, name: "Ann", turns: 0, ...tokens };
      },
      userInfo: async () => ({ sub: "ann" }),
      end: async () => new URL(`${issuer}/logout`),
    },
  });
  const send = (place: string, init: RequestInit = {}) => site.request(`${url}${place}`, init);
  const cookieOf = (response: Response) =>
    response.headers
      .getSetCookie()
      .map((line) => line.split(";")[0])
      .filter((pair) => !pair?.endsWith("="))
      .join("; ");
  const signIn = async (sid = "one") => {
    const cookie = cookieOf(await send("/sign-in"));
    return cookieOf(await send(`/callback?code=${sid}`, { headers: { cookie } }));
  };
  const isIn = async (cookie: string) =>
    (await (await send("/", { headers: { cookie } })).text()).includes("Signed in as");
  const tell = async (token: string) =>
    (
      await send("/back-channel-logout", {
        method: "POST",
        body: new URLSearchParams({ logout_token: token }),
      })
    ).status;
  return { send, cookieOf, signIn, isIn, tell };
}

describe("examples/oidc-web", () => {
  test("Back-Channel Logout §2.7: a logout token ends the session that it names, and no other", async () => {
    const { signIn, isIn, tell } = openSite();
    const [one, two] = [await signIn("one"), await signIn("two")];
    assert.deepEqual([await isIn(one), await isIn(two)], [true, true]);
    assert.equal(await tell(await tokenOf({})), 200);
    assert.deepEqual([await isIn(one), await isIn(two)], [false, true]);
    assert.equal(await tell(await tokenOf({ claims: { sid: undefined, jti: "b" } })), 200);
    assert.equal(await isIn(two), false, "without a sid all of that person");
  });

  const forgeries: [string, Forged][] = [
    ["signed by somebody else", { isForeign: true }],
    ["of another issuer", { claims: { iss: "https://elsewhere.example" } }],
    ["for another client", { claims: { aud: "another" } }],
    ["that is over", { age: 600 }],
    ["that is an ID token", { typ: "JWT" }],
    ["with a nonce", { claims: { nonce: "n" } }],
    ["without the event", { claims: { events: {} } }],
    ["of which the event is no object", { claims: { events: { [event]: true } } }],
    ["without a jti", { claims: { jti: undefined } }],
    ["of nobody", { claims: { sub: undefined, sid: undefined } }],
    ["whose sid is no text", { claims: { sid: 1 } }],
  ];
  for (const [what, forged] of forgeries) {
    test(`Back-Channel Logout §2.6: a logout token ${what} is refused by 400 and ends nothing`, async () => {
      const { signIn, isIn, tell } = openSite();
      const cookie = await signIn();
      assert.equal(await tell(await tokenOf(forged)), 400);
      assert.equal(await isIn(cookie), true);
    });
  }

  test("Back-Channel Logout §2.6: a logout token counts once", async () => {
    const { signIn, isIn, tell } = openSite();
    const token = await tokenOf({});
    assert.equal(await tell(token), 200);
    const cookie = await signIn();
    assert.equal(await tell(token), 400);
    assert.equal(await isIn(cookie), true);
  });

  test("what is no logout token is answered by 400 or 413, never by 500", async () => {
    const { send, tell } = openSite();
    for (const token of ["", "x", "a.b.c"]) assert.equal(await tell(token), 400);
    assert.equal(await tell("x".repeat(20_000)), 413);
    for (const body of ["", "{"]) {
      const headers = { "content-type": "application/json" };
      assert.equal((await send("/back-channel-logout", { method: "POST", body, headers })).status, 400);
    }
  });

  test("RFC 9700 §4.7: a way back that this browser has not begun signs nobody in, and each works once", async () => {
    const { send, cookieOf } = openSite();
    assert.equal((await send("/callback?code=one")).status, 400);
    const cookie = cookieOf(await send("/sign-in"));
    assert.equal((await send("/callback?code=one", { headers: { cookie } })).status, 303);
    assert.equal((await send("/callback?code=one", { headers: { cookie } })).status, 400);
  });

  test("a form on another site signs nobody out; the own one does, and leads to the provider", async () => {
    const { send, signIn, isIn } = openSite();
    const cookie = await signIn();
    const post = (origin: string) =>
      send("/sign-out", {
        method: "POST",
        body: new URLSearchParams(),
        headers: { cookie, origin },
      });
    assert.equal((await post("https://elsewhere.example")).status, 403);
    assert.equal(await isIn(cookie), true);
    const out = await post(url);
    assert.deepEqual([out.status, out.headers.get("location")], [303, `${issuer}/logout`]);
    assert.equal(await isIn(cookie), false);
  });

  test("cookies are HttpOnly, Lax, and Secure where the address is https", async () => {
    const { send } = openSite();
    for (const line of (await send("/sign-in")).headers.getSetCookie()) {
      assert.match(line, /HttpOnly/);
      assert.match(line, /SameSite=Lax/);
      assert.match(line, /Secure/);
    }
  });
});
