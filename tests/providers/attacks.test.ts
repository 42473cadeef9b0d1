import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { formOf, readable, testBrowser } from "../../packages/server/src/pages/test-browser.ts";
import { type Reply, startTestServer, type TestServer } from "../../packages/server/src/test-server.ts";
import { openPort, type Port } from "./foreign-provider.ts";
import { type Lies, startHostileProvider, TWIN } from "./hostile-provider.ts";
import { comeBack, setOut, setOutToConnect, type Visit, whoIs } from "./visitor.ts";

/** A provider that lies, and people who bend what passes between it and Keyturn. */

const operator = { actor: "operator" } as const;

let port: Port;
let otherPort: Port;
let server: TestServer;
let twin: Awaited<ReturnType<typeof startHostileProvider>>;
let other: Awaited<ReturnType<typeof startHostileProvider>>;

before(async () => {
  [port, otherPort] = [await openPort(), await openPort()];
  server = await startTestServer({ settings: { privateHosts: [port.host, otherPort.host] } });
  [twin, other] = [await startHostileProvider(port), await startHostileProvider(otherPort)];
  server.secrets.add(TWIN.secret);
  server.secrets.add("access-token-of-the-twin-0123456789");
  server.secrets.add("mallory@twin.example");
  await server.addUser("alice", { email: "alice@example.com", emailVerified: true });
});
after(async () => {
  await server.close();
  await Promise.all([port.close(), otherPort.close()]);
});

async function add(id: string, issuer: string): Promise<void> {
  const input = {
    preset: "oidc",
    id,
    label: id,
    clientId: TWIN.id,
    secret: TWIN.secret,
    trustsEmail: true,
  } as const;
  const added = await server.app.providers.add({ ...input, issuer }, operator);
  assert.equal(added.outcome, "added");
}

// What a provider says of itself is kept for an hour: each test gets a new one.
beforeEach(async () => {
  await server.forgetLimits();
  twin.tell({});
  other.tell({});
  await add("twin", twin.issuer);
  await add("other", other.issuer);
});
afterEach(async () => {
  for (const id of ["twin", "other"]) await server.app.providers.remove(id, operator);
});

/** A way to the provider, whose authorization endpoint knows of it. */
async function begun(id = "twin"): Promise<Visit> {
  const visit = await setOut(server, id);
  (id === "twin" ? twin : other).knows(visit.url);
  return visit;
}

const answerOf = ({ state }: Visit, more: Readonly<Record<string, string>> = {}) => ({
  code: "a-code",
  state,
  iss: twin.issuer,
  ...more,
});

/** Nobody is signed in by it, nothing is written, and the page says what to do. */
async function assertRefused(
  visit: Visit,
  answer: Readonly<Record<string, string>>,
  expected: RegExp,
): Promise<Reply> {
  const before = await server.rows();
  const reply = await comeBack(visit.browser, "twin", answer);
  assert.match(readable(reply), expected);
  assert.ok(reply.status >= 400, `${reply.status}`);
  assert.equal(await server.rows(), before);
  assert.equal(await whoIs(server, visit.browser), undefined);
  return reply;
}

const NOT_PROVEN = /could not be accepted, so nobody was signed in and nothing was changed/;
const GONE = /does not belong to anything that was begun in this browser/;

test("the twin can tell the truth: each lie below is the only thing that is wrong", async () => {
  const visit = await begun();
  const reply = await comeBack(visit.browser, "twin", answerOf(visit));
  assert.equal(reply.status, 303, readable(reply));
  assert.equal(await whoIs(server, visit.browser), "mallory");
  await server.app.users.remove((await server.app.users.find("mallory"))?.id ?? "", operator);
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
    const visit = await begun();
    twin.tell(lies);
    await assertRefused(visit, answerOf(visit), NOT_PROVEN);
    const [event] = await server.app.audit.list({});
    assert.equal(event?.type, "provider.sign_in_refused");
    assert.match(String(event?.detail?.reason), /^[a-z_]+$/);
  });
}

test("RFC 8725 §3.1: alg none and HS256 are refused, though the provider announces them", async () => {
  const now = Math.floor(Date.now() / 1000);
  for (const alg of ["none", "HS256"]) {
    await server.app.providers.remove("twin", operator);
    twin.tell({ metadata: { id_token_signing_alg_values_supported: ["ES256", "none", "HS256"] } });
    await add("twin", twin.issuer);
    const visit = await begun();
    const nonce = visit.url.searchParams.get("nonce");
    const claims = { iss: twin.issuer, aud: TWIN.id, sub: "person-1", nonce, iat: now, exp: now + 60 };
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = `${part({ alg, kid: "twin-1" })}.${part(claims)}`;
    const mac = createHmac("sha256", TWIN.secret).update(signed).digest("base64url");
    twin.tell({ idToken: `${signed}.${alg === "none" ? "" : mac}` });
    await assertRefused(visit, answerOf(visit), NOT_PROVEN);
  }
});

test("RFC 7515 §4.1.3: a token that brings its own key is not verified by it", async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const visit = await begun();
  const nonce = visit.url.searchParams.get("nonce");
  const idToken = await new SignJWT({ nonce })
    .setProtectedHeader({ alg: "ES256", jwk: await exportJWK(publicKey), jku: `${twin.issuer}/jwks` })
    .setIssuer(twin.issuer)
    .setAudience(TWIN.id)
    .setSubject("person-1")
    .setIssuedAt()
    .setExpirationTime("1m")
    .sign(privateKey);
  twin.tell({ idToken });
  await assertRefused(visit, answerOf(visit), NOT_PROVEN);
});

test("swapped tokens: an honest ID token of another attempt, or of another client, proves nobody here", async () => {
  const theirs = await begun();
  const stolen = await twin.sign();
  const own = await begun();
  assert.notEqual(theirs.state, own.state);
  twin.tell({ idToken: stolen });
  await assertRefused(own, answerOf(own), NOT_PROVEN);
});

test("OpenID Connect Core §5.3.2: a UserInfo answer about somebody else is refused", async () => {
  for (const userInfo of [{ sub: "person-2" }, { sub: undefined }, { sub: "" }]) {
    const visit = await begun();
    twin.tell({ claims: { email: undefined }, userInfo: { email: "alice@example.com", ...userInfo } });
    await assertRefused(visit, answerOf(visit), NOT_PROVEN);
  }
});

test("an address is believed only together with what its own document says of it", async () => {
  const visit = await begun();
  twin.tell({
    claims: { email: undefined, email_verified: true, sub: "person-3" },
    userInfo: { sub: "person-3", email: "alice@example.com", email_verified: false },
  });
  await comeBack(visit.browser, "twin", answerOf(visit));
  assert.equal(await whoIs(server, visit.browser), "mallory");
  const user = await server.app.users.find("mallory");
  assert.equal(user?.email, undefined);
  await server.app.users.remove(user?.id ?? "", operator);
});

test("unverified e-mail takeover: no way of writing email_verified but true finds alice", async () => {
  const values = [false, undefined, null, 0, 1, "yes", "TRUE", [true], { true: true }];
  for (const [index, email_verified] of values.entries()) {
    const visit = await begun();
    twin.tell({ claims: { email: "alice@example.com", email_verified, sub: `person-4-${index}` } });
    const reply = await comeBack(visit.browser, "twin", answerOf(visit));
    assert.equal(reply.headers.get("location"), "/account", String(email_verified));
    const user = await server.app.users.find((await whoIs(server, visit.browser)) ?? "");
    assert.match(user?.username ?? "", /^mallory/);
    assert.equal(user?.email, undefined);
    await server.app.users.remove(user?.id ?? "", operator);
  }
});

test("a verified address alone signs in to nothing: alice's account takes alice's proof", async () => {
  const visit = await begun();
  twin.tell({ claims: { email: "ALICE@Example.com", sub: "person-5" } });
  const before = await server.rows();
  const reply = await comeBack(visit.browser, "twin", answerOf(visit));
  assert.equal(reply.headers.get("location"), "/sign-in/connect");
  assert.equal(await whoIs(server, visit.browser), undefined);
  assert.equal(await server.rows(), before);
});

test("RFC 9207 §2.4, mix-up: an iss of another provider is refused, and so is none where the provider announces it", async () => {
  for (const iss of [other.issuer, `${twin.issuer}/`, twin.issuer.toUpperCase(), "null"]) {
    const visit = await begun();
    await assertRefused(visit, answerOf(visit, { iss }), NOT_PROVEN);
    assert.ok(!twin.asked.includes("/token"), "the code goes to nobody");
  }
  const visit = await begun();
  const { iss: _, ...without } = answerOf(visit);
  await assertRefused(visit, without, NOT_PROVEN);
  assert.ok(!twin.asked.includes("/token"));
});

test("RFC 9700 §4.4, mix-up: an answer at another provider's redirect URI finds no attempt, and spends none", async () => {
  const visit = await begun("other");
  twin.tell({});
  await assertRefused(visit, answerOf(visit), GONE);
  assert.deepEqual(twin.asked, []);
  const reply = await comeBack(visit.browser, "other", answerOf(visit, { iss: other.issuer }));
  assert.equal(reply.status, 303, readable(reply));
  await server.app.users.remove((await server.app.users.find("mallory"))?.id ?? "", operator);
});

test("RFC 9700 §4.7, cross-user fixation: an answer in another browser than the one that began is refused, and spends nothing", async () => {
  const attacker = await begun();
  const strangers = [testBrowser(server), (await begun()).browser];
  for (const browser of strangers) {
    await assertRefused({ ...attacker, browser }, answerOf(attacker), GONE);
  }
  twin.knows(attacker.url);
  const reply = await comeBack(attacker.browser, "twin", answerOf(attacker));
  assert.equal(reply.status, 303);
  await server.app.users.remove((await server.app.users.find("mallory"))?.id ?? "", operator);
});

test("cross-user fixation of a link: the answer must find the session that asked, not just the browser", async () => {
  const browser = testBrowser(server);
  await browser.signIn("alice");
  const visit = await setOutToConnect(browser, "twin");
  twin.knows(visit.url);
  await server.addUser("bob");
  await browser.signIn("bob");
  const before = await server.rows();
  const reply = await comeBack(browser, "twin", answerOf(visit));
  assert.match(readable(reply), /You signed in or out while this was under way/);
  assert.equal(await server.rows(), before);
  assert.equal(await whoIs(server, browser), "bob");
});

test("a state is good once: replayed, invented, cut, doubled or missing it is refused", async () => {
  const visit = await begun();
  const answer = answerOf(visit);
  assert.equal((await comeBack(visit.browser, "twin", answer)).status, 303);
  const { cookies } = visit.browser;
  const again = await begun();
  // The cookie of a browser that still has it: only the state is used up.
  for (const [name, value] of again.browser.cookies) if (name.includes("provider")) cookies.set(name, value);
  cookies.delete("keyturn");
  const states = [
    visit.state,
    again.state.slice(1),
    `${again.state}A`,
    "",
    "A".repeat(43),
    "%00",
    `${again.state}\0`,
  ];
  for (const state of states) await assertRefused({ ...visit }, { ...answer, state }, GONE);
  const { state: _, ...without } = answer;
  await assertRefused(visit, without, GONE);
  const twice = `/sign-in/with/twin/callback?code=x&state=${again.state}&state=${again.state}`;
  assert.equal((await again.browser.open(twice)).status, 400);
  await server.app.users.remove((await server.app.users.find("mallory"))?.id ?? "", operator);
});

test("of a hundred answers with one state at the same moment, one reaches the provider", async () => {
  const visit = await begun();
  const answers = Array.from({ length: 100 }, () => comeBack(visit.browser, "twin", answerOf(visit)));
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 303).length, 1);
  assert.equal(twin.asked.filter((path) => path === "/token").length, 1);
  await server.app.users.remove((await server.app.users.find("mallory"))?.id ?? "", operator);
});

test("a code that the provider has seen before is refused there, and nobody is signed in", async () => {
  const visit = await begun();
  twin.tell({
    at: {
      "/token": (_request, response) =>
        void response.writeHead(400, { "content-type": "application/json" }).end('{"error":"invalid_grant"}'),
    },
  });
  await assertRefused(visit, answerOf(visit), NOT_PROVEN);
  const [event] = await server.app.audit.list({});
  assert.equal(event?.detail?.reason, "invalid_grant");
});

test("open redirect: whatever return_to says, one ends on this origin", async () => {
  for (const returnTo of [
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "/.//evil.example",
    "javascript:x",
  ]) {
    const visit = await setOut(server, "twin", { returnTo });
    twin.knows(visit.url);
    assert.ok(!visit.url.href.includes("evil"));
    const reply = await comeBack(
      visit.browser,
      "twin",
      answerOf(visit, { return_to: "https://evil.example" }),
    );
    assert.equal(reply.headers.get("location"), "/account", returnTo);
  }
  await server.app.users.remove((await server.app.users.find("mallory"))?.id ?? "", operator);
});

test("login CSRF: nothing is begun by a link, by a form of another site, or without the form's token", async () => {
  const browser = testBrowser(server);
  const page = await browser.open("/sign-in/with/twin");
  assert.equal(page.status, 200);
  assert.doesNotMatch(page.text, /http-equiv/);
  const count = () => server.countRows("provider_attempts");
  const before = await count();
  const { form_token = "" } = formOf(page, "/sign-in/with/twin");
  const cross = await browser.post("/sign-in/with/twin", { form_token }, { "sec-fetch-site": "cross-site" });
  assert.equal(cross.status, 403);
  const without = await browser.post("/sign-in/with/twin", {});
  assert.equal(without.status, 403);
  assert.match(readable(without), /Continue with twin/);
  assert.equal(await count(), before);
});

test("error answers of a provider are told in our words, and its own are nowhere", async () => {
  const marks = "<img src=x onerror=alert(1)>";
  for (const error of ["server_error", "invalid_scope", marks, "x".repeat(5000), "login_required"]) {
    const visit = await begun();
    const answer = {
      error,
      error_description: marks,
      error_uri: "https://evil.example",
      state: visit.state,
      iss: twin.issuer,
    };
    const reply = await assertRefused(visit, answer, error.length > 4096 ? GONE : NOT_PROVEN);
    assert.doesNotMatch(reply.text, /alert|evil|server_error/);
  }
  assert.ok(!server.lines.join("").includes("alert(1)"));
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
      const visit = await begun();
      twin.tell({ claims: { email: undefined }, at: { [path]: listener } });
      await assertRefused(visit, answerOf(visit), /could not be (accepted|asked)/);
      assert.ok(twin.asked.includes(path), twin.asked.join());
      assert.ok(!twin.asked.includes("/latest/meta-data"));
    });
  }
  test(`${what} in the place of the metadata: nobody is sent anywhere, and the next one may try again`, async () => {
    await server.app.providers.remove("twin", operator);
    await add("twin", twin.issuer);
    twin.tell({ at: { "/.well-known/openid-configuration": listener } });
    const browser = testBrowser(server);
    const page = await browser.open("/sign-in/with/twin");
    const reply = await browser.submit(page, "/sign-in/with/twin");
    assert.equal(reply.status, 503);
    assert.match(readable(reply), /twin could not be asked/);
    twin.tell({});
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
    await server.app.providers.remove("twin", operator);
    await add("twin", twin.issuer);
    twin.tell({ metadata });
    const browser = testBrowser(server);
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
        await server.app.providers.remove("twin", operator);
        await add("twin", twin.issuer);
        twin.tell({ metadata: { token_endpoint: `${scheme}://${host}:${number}/token` } });
        const visit = await begun();
        await assertRefused(visit, answerOf(visit), /could not be asked/);
      }
    }
    assert.equal(asked, 0);
  } finally {
    await secret.close();
  }
});
