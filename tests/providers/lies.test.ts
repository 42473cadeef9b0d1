import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { readable, testBrowser } from "../../packages/server/src/pages/test-browser.ts";
import { openPort } from "./foreign-provider.ts";
import { type Lies, TWIN } from "./hostile-provider.ts";
import { GONE, NOT_PROVEN, useHostileProviders } from "./test-hostile-providers.ts";
import { comeBack, whoIs } from "./visitor.ts";

/** A provider that lies: in its tokens, its answers and its metadata. */

const operator = { actor: "operator" } as const;
const world = useHostileProviders();

test("the twin can tell the truth: each lie below is the only thing that is wrong", async () => {
  const visit = await world.begun();
  const reply = await comeBack(visit.browser, "twin", world.answerOf(visit));
  assert.equal(reply.status, 303, readable(reply));
  assert.equal(await whoIs(world.server, visit.browser), "mallory");
  await world.removeMallory();
});

const past = Math.floor(Date.now() / 1000) - 3600;
const tokenLies: Readonly<Record<string, Lies>> = {
  "§3.1.3.7 2: an iss of another": { claims: { iss: "https://accounts.google.com" } },
  "§3.1.3.7 2: no iss": { claims: { iss: undefined } },
  "§3.1.3.7 3: an aud of another client": { claims: { aud: "somebody-else" } },
  "§3.1.3.7 3: several audiences, and azp another client": {
    claims: { aud: [TWIN.id, "somebody-else"], azp: "somebody-else" },
  },
  "§3.1.3.7 9: expired": { claims: { exp: past, iat: past - 60 } },
  "§3.1.3.7 9: no exp": { claims: { exp: undefined } },
  "§3.1.3.7 11: a nonce of another attempt": { claims: { nonce: "A".repeat(43) } },
  "§3.1.3.7 11: no nonce": { claims: { nonce: undefined } },
  "§2: no sub": { claims: { sub: undefined } },
  "§2: an empty sub": { claims: { sub: "" } },
  "§2: a sub that is no text": { claims: { sub: { $ne: null } } },
  "§2: a sub without end": { claims: { sub: "x".repeat(10_000) } },
  "a sub with a NUL": { claims: { sub: "person\u0000-1" } },
  "a wrong signature": { isSignedByAnother: true },
  "a key that is not in the key set": { header: { kid: "twin-2" } },
  "not yet valid": { claims: { nbf: Math.floor(Date.now() / 1000) + 3600 } },
  "no token at all": { idToken: "" },
  "no JWT": { idToken: "x.y.z" },
};
for (const [lie, lies] of Object.entries(tokenLies)) {
  test(`OpenID Connect Core ${lie}: the ID token is refused`, async () => {
    const visit = await world.begun();
    world.twin.tell(lies);
    await world.assertRefused(visit, world.answerOf(visit), NOT_PROVEN);
    const [event] = await world.server.app.audit.list({});
    assert.equal(event?.type, "provider.sign_in_refused");
    assert.match(String(event?.detail?.reason), /^[a-z_]+$/);
  });
}

test("RFC 8725 §3.1: alg none and HS256 are refused, though the provider announces them", async () => {
  const now = Math.floor(Date.now() / 1000);
  for (const alg of ["none", "HS256"]) {
    world.twin.tell({ metadata: { id_token_signing_alg_values_supported: ["ES256", "none", "HS256"] } });
    await world.forgetTwin();
    const visit = await world.begun();
    const nonce = visit.url.searchParams.get("nonce");
    const claims = { iss: world.twin.issuer, aud: TWIN.id, sub: "person-1", nonce, iat: now, exp: now + 60 };
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = `${part({ alg, kid: "twin-1" })}.${part(claims)}`;
    const mac = createHmac("sha256", TWIN.secret).update(signed).digest("base64url");
    world.twin.tell({ idToken: `${signed}.${alg === "none" ? "" : mac}` });
    await world.assertRefused(visit, world.answerOf(visit), NOT_PROVEN);
  }
});

test("RFC 7515 §4.1.3: a token that brings its own key is not verified by it", async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const visit = await world.begun();
  const nonce = visit.url.searchParams.get("nonce");
  const idToken = await new SignJWT({ nonce })
    .setProtectedHeader({ alg: "ES256", jwk: await exportJWK(publicKey), jku: `${world.twin.issuer}/jwks` })
    .setIssuer(world.twin.issuer)
    .setAudience(TWIN.id)
    .setSubject("person-1")
    .setIssuedAt()
    .setExpirationTime("1m")
    .sign(privateKey);
  world.twin.tell({ idToken });
  await world.assertRefused(visit, world.answerOf(visit), NOT_PROVEN);
});

test("swapped tokens: an honest ID token of another attempt, or of another client, proves nobody here", async () => {
  const theirs = await world.begun();
  const stolen = await world.twin.sign();
  const own = await world.begun();
  assert.notEqual(theirs.state, own.state);
  world.twin.tell({ idToken: stolen });
  await world.assertRefused(own, world.answerOf(own), NOT_PROVEN);
});

test("OpenID Connect Core §5.3.2: a UserInfo answer about somebody else is refused", async () => {
  for (const userInfo of [{ sub: "person-2" }, { sub: undefined }, { sub: "" }]) {
    const visit = await world.begun();
    world.twin.tell({ claims: { email: undefined }, userInfo: { email: "alice@example.com", ...userInfo } });
    await world.assertRefused(visit, world.answerOf(visit), NOT_PROVEN);
  }
});

test("an address is believed only together with what its own document says of it", async () => {
  const visit = await world.begun();
  world.twin.tell({
    claims: { email: undefined, email_verified: true, sub: "person-3" },
    userInfo: { sub: "person-3", email: "alice@example.com", email_verified: false },
  });
  await comeBack(visit.browser, "twin", world.answerOf(visit));
  assert.equal(await whoIs(world.server, visit.browser), "mallory");
  const user = await world.server.app.users.find("mallory");
  assert.equal(user?.email, undefined);
  await world.server.app.users.remove(user?.id ?? "", operator);
});

test("unverified e-mail takeover: no way of writing email_verified but true finds alice", async () => {
  const values = [false, undefined, null, 0, 1, "yes", "TRUE", [true], { true: true }];
  for (const [index, email_verified] of values.entries()) {
    const visit = await world.begun();
    world.twin.tell({ claims: { email: "alice@example.com", email_verified, sub: `person-4-${index}` } });
    const reply = await comeBack(visit.browser, "twin", world.answerOf(visit));
    assert.equal(reply.headers.get("location"), "/account", String(email_verified));
    const user = await world.server.app.users.find((await whoIs(world.server, visit.browser)) ?? "");
    assert.match(user?.username ?? "", /^mallory/);
    assert.equal(user?.email, undefined);
    await world.server.app.users.remove(user?.id ?? "", operator);
  }
});

test("a verified address alone signs in to nothing: alice's account takes alice's proof", async () => {
  const visit = await world.begun();
  world.twin.tell({ claims: { email: "ALICE@Example.com", sub: "person-5" } });
  const before = await world.server.rows();
  const reply = await comeBack(visit.browser, "twin", world.answerOf(visit));
  assert.equal(reply.headers.get("location"), "/sign-in/connect");
  assert.equal(await whoIs(world.server, visit.browser), undefined);
  assert.equal(await world.server.rows(), before);
});

test("error answers of a provider are told in our words, and its own are nowhere", async () => {
  const marks = "<img src=x onerror=alert(1)>";
  for (const error of ["server_error", "invalid_scope", marks, "x".repeat(5000), "login_required"]) {
    const visit = await world.begun();
    const answer = {
      error,
      error_description: marks,
      error_uri: "https://evil.example",
      state: visit.state,
      iss: world.twin.issuer,
    };
    const reply = await world.assertRefused(visit, answer, error.length > 4096 ? GONE : NOT_PROVEN);
    assert.doesNotMatch(reply.text, /alert|evil|server_error/);
  }
  assert.ok(!world.server.lines.join("").includes("alert(1)"));
});

const brokenReplies: Readonly<Record<string, NonNullable<Lies["at"]>[string]>> = {
  "a redirect to somewhere else": (_request, response) =>
    void response.writeHead(302, { location: "http://169.254.169.254/latest/meta-data" }).end(),
  "no JSON": (_request, response) =>
    void response.writeHead(200, { "content-type": "application/json" }).end("{not json"),
  "JSON of another kind": (_request, response) =>
    void response.writeHead(200, { "content-type": "application/json" }).end("[1]"),
  HTML: (_request, response) =>
    void response.writeHead(200, { "content-type": "text/html" }).end("<h1>It works</h1>"),
  nothing: (_request, response) => void response.writeHead(204).end(),
  "an endless reply": (_request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const more = () => {
      while (!response.destroyed && response.write(" ".repeat(65_536)));
      if (!response.destroyed) response.once("drain", more);
    };
    more();
  },
  "a reply that is cut off": (_request, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
    response.write('{"access_token":"');
    setImmediate(() => response.destroy());
  },
  "a packed reply": (_request, response) =>
    void response
      .writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" })
      .end(Buffer.from("H4sIAAAAAAAAA6uuBQBDv6ajAgAAAA==", "base64")),
  "a closed door": (request) => void request.socket.destroy(),
  "status 500": (_request, response) => void response.writeHead(500).end("x".repeat(1000)),
};
for (const [what, listener] of Object.entries(brokenReplies)) {
  for (const path of ["/token", "/jwks", "/userinfo"]) {
    test(`${what} in the place of ${path} signs nobody in`, async () => {
      const visit = await world.begun();
      world.twin.tell({ claims: { email: undefined }, at: { [path]: listener } });
      await world.assertRefused(visit, world.answerOf(visit), /could not be (accepted|asked)/);
      assert.ok(world.twin.asked.includes(path), world.twin.asked.join());
      assert.ok(!world.twin.asked.includes("/latest/meta-data"));
    });
  }
  test(`${what} in the place of the metadata: nobody is sent anywhere, and the next one may try again`, async () => {
    await world.forgetTwin();
    world.twin.tell({ at: { "/.well-known/openid-configuration": listener } });
    const browser = testBrowser(world.server);
    const page = await browser.open("/sign-in/with/twin");
    const reply = await browser.submit(page, "/sign-in/with/twin");
    assert.equal(reply.status, 503);
    assert.match(readable(reply), /twin could not be asked/);
    world.twin.tell({});
    assert.equal((await browser.submit(page, "/sign-in/with/twin")).status, 200);
  });
}

const metadataLies: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "another issuer": { issuer: "https://accounts.google.com" },
  "no issuer": { issuer: undefined },
  "the issuer with a slash more": { issuer: `http://127.0.0.1:1/` },
  "an authorization endpoint that is a script": { authorization_endpoint: "javascript:alert(1)" },
  "an authorization endpoint that is data": { authorization_endpoint: "data:text/html,x" },
  "no authorization endpoint": { authorization_endpoint: undefined },
  "an authorization endpoint that is no address": { authorization_endpoint: "nowhere" },
};
for (const [what, metadata] of Object.entries(metadataLies)) {
  test(`OpenID Connect Discovery §4.3: metadata with ${what} is not used`, async () => {
    await world.forgetTwin();
    world.twin.tell({ metadata });
    const browser = testBrowser(world.server);
    const reply = await browser.submit(await browser.open("/sign-in/with/twin"), "/sign-in/with/twin");
    assert.equal(reply.status, 503);
    assert.doesNotMatch(reply.text, /javascript:|data:|http-equiv/);
  });
}

test("SSRF: endpoints that the metadata aims at this machine, its network or the cloud's are not asked", async () => {
  const secret = await openPort();
  let asked = 0;
  secret.answerWith((_request, response) => {
    asked++;
    response.writeHead(200).end("{}");
  });
  try {
    const { port: number } = new URL(secret.url);
    for (const host of [
      "127.0.0.1",
      "localhost",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "2130706433",
      "0x7f.1",
      "0.0.0.0",
      "[::]",
    ]) {
      for (const scheme of ["http", "https"]) {
        await world.forgetTwin();
        world.twin.tell({ metadata: { token_endpoint: `${scheme}://${host}:${number}/token` } });
        const visit = await world.begun();
        await world.assertRefused(visit, world.answerOf(visit), /could not be asked/);
      }
    }
    assert.equal(asked, 0);
  } finally {
    await secret.close();
  }
});
