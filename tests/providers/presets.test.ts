import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { jwtVerify } from "jose";
import { assertPage, FORM, readable } from "../../packages/server/src/pages/test-browser.ts";
import type { NewProvider } from "../../packages/server/src/providers/adding.ts";
import { type PresetName, presetNames, presetOf } from "../../packages/server/src/providers/presets.ts";
import { startTestServer, type TestServer } from "../../packages/server/src/test-server.ts";
import { openPort, type Port } from "./foreign-provider.ts";
import { startHostileProvider, TWIN } from "./hostile-provider.ts";
import { comeBack, identities, setOut, whoIs } from "./visitor.ts";

/** What is particular about providers: those without OpenID Connect, and those with ways of their own. */

const operator = { actor: "operator" } as const;
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const apple = { secret: pem, signing: { teamId: "TEAM567890", keyId: "KEYID67890" } };

let port: Port;
let server: TestServer;

before(async () => {
  port = await openPort();
  server = await startTestServer({ settings: { privateHosts: [port.host] } });
  for (const secret of [TWIN.secret, ...pem.split("\n").slice(1, -2)]) server.secrets.add(secret);
});
after(async () => {
  await server.close();
  await port.close();
});
beforeEach(() => server.forgetLimits());
afterEach(async () => {
  for (const { id } of await server.app.providers.list()) await server.app.providers.remove(id, operator);
  for (const { id } of await server.app.users.list()) await server.app.users.remove(id, operator);
});

async function add(input: Omit<NewProvider, "clientId">): Promise<void> {
  const added = await server.app.providers.add(
    { clientId: TWIN.id, secret: TWIN.secret, ...input },
    operator,
  );
  assert.equal(added.outcome, "added", JSON.stringify(added));
}

async function bodyOf(request: IncomingMessage): Promise<URLSearchParams> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return new URLSearchParams(text);
}

/** A provider like GitHub: OAuth 2 and a profile. */
function startOAuthProvider(profile: unknown, emails: unknown, token: unknown = { token_type: "bearer" }) {
  const seen: { authorization?: string | undefined; form?: URLSearchParams } = {};
  port.answerWith(async (request, response) => {
    const path = request.url?.split("?")[0];
    if (path === "/token") seen.form = await bodyOf(request);
    else seen.authorization = request.headers.authorization;
    const answers: Record<string, unknown> = {
      "/token": { access_token: "a-token-of-github-0123456789", ...(token as object) },
      "/user": profile,
      "/emails": emails,
    };
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(answers[path ?? ""]));
  });
  server.secrets.add("a-token-of-github-0123456789");
  return seen;
}

const github = () => ({
  preset: "github" as const,
  issuer: `${port.url}/login/oauth`,
  trustsEmail: true,
  endpoints: {
    authorization: `${port.url}/authorize`,
    token: `${port.url}/token`,
    profile: `${port.url}/user`,
    emails: `${port.url}/emails`,
  },
});

async function signInAtGithub(answer: Record<string, string> = {}) {
  const visit = await setOut(server, "github");
  const reply = await comeBack(visit.browser, "github", { code: "c", state: visit.state, ...answer });
  return { ...visit, reply };
}

test("plain OAuth 2: who it is comes from the profile, the address from the list of verified ones", async () => {
  await add(github());
  const seen = startOAuthProvider({ id: 42, login: "octo", name: "Octo Cat", email: "public@octo.example" }, [
    { email: "old@octo.example", primary: false, verified: true },
    { email: "octo@octo.example", primary: true, verified: true },
  ]);
  server.secrets.add("octo@octo.example");
  const { browser, url } = await signInAtGithub({ iss: `${port.url}/login/oauth` });
  assert.equal(await whoIs(server, browser), "octo");
  const user = await server.app.users.find("octo");
  assert.deepEqual([user?.email, user?.emailVerified, user?.name], ["octo@octo.example", true, "Octo Cat"]);
  assert.equal(url.searchParams.get("code_challenge_method"), "S256");
  assert.equal(url.searchParams.get("nonce"), null);
  assert.match(seen.form?.get("code_verifier") ?? "", /^[\w-]{43}$/);
  assert.equal(seen.form?.get("client_secret"), TWIN.secret);
  assert.equal(seen.authorization, "Bearer a-token-of-github-0123456789");
  // The name there has changed; the number has not.
  startOAuthProvider({ id: 42, login: "other" }, []);
  assert.equal(await whoIs(server, (await signInAtGithub()).browser), "octo");
});

test("plain OAuth 2: an address that is public, first or verified, but not first and verified, is not taken", async () => {
  await add(github());
  const lists = [
    [],
    {},
    null,
    [{ email: "victim@octo.example", primary: true, verified: false }],
    [{ email: "victim@octo.example", primary: false, verified: true }],
    [{ email: 7, primary: true, verified: true }],
  ];
  for (const [index, emails] of lists.entries()) {
    startOAuthProvider({ id: 100 + index, login: `octo${index}`, email: "victim@octo.example" }, emails);
    const { browser } = await signInAtGithub();
    assert.equal(await whoIs(server, browser), `octo${index}`);
    assert.equal((await server.app.users.find(`octo${index}`))?.email, undefined);
  }
});

test("plain OAuth 2: a profile that does not say who it is signs nobody in", async () => {
  await add(github());
  const before = await server.rows();
  for (const id of [undefined, null, "", {}, [1], 1.5, 2 ** 60, true, "a b", "\u0000"]) {
    startOAuthProvider({ id, login: "octo" }, []);
    const { browser, reply } = await signInAtGithub();
    assert.match(readable(reply), /could not be accepted/, String(id));
    assert.equal(await whoIs(server, browser), undefined);
  }
  assert.equal(await server.rows(), before);
});

test("plain OAuth 2: an error that comes with status 200, as GitHub sends them, is one", async () => {
  await add(github());
  startOAuthProvider({ id: 1 }, [], { access_token: undefined, error: "bad_verification_code" });
  const { reply } = await signInAtGithub();
  assert.equal(reply.status, 401);
});

test("RFC 9207: the iss that GitHub sends is compared with the preset's", async () => {
  await add(github());
  startOAuthProvider({ id: 1, login: "octo" }, []);
  const { reply } = await signInAtGithub({ iss: "https://github.com/login/oauth" });
  assert.equal(reply.status, 401);
});

test("number 42 of one provider is not number 42 of another", async () => {
  await add(github());
  await add({ ...github(), id: "ghe", issuer: `${port.url}/enterprise` });
  startOAuthProvider({ id: 42, login: "octo" }, []);
  await signInAtGithub();
  const visit = await setOut(server, "ghe");
  await comeBack(visit.browser, "ghe", { code: "c", state: visit.state });
  assert.match((await whoIs(server, visit.browser)) ?? "", /^octo-\d+$/);
  const elsewhere = {
    ...github(),
    id: "x",
    issuer: "https://github.com/login/oauth",
    clientId: "c",
    secret: "s",
  };
  const refused = await server.app.providers.add(elsewhere, operator);
  assert.equal(refused.outcome, "invalid");
});

test("Apple: the answer comes as a form of another site, without cookies, and leads on to where they are", async () => {
  const twin = await startHostileProvider(port);
  await add({ preset: "apple", issuer: twin.issuer, ...apple });
  const visit = await setOut(server, "apple");
  assert.equal(visit.url.searchParams.get("response_mode"), "form_post");
  twin.knows(visit.url);
  const form = { code: "a-code", state: visit.state, iss: twin.issuer, user: '{"name":{}}', form_token: "x" };
  // No cookie of ours: SameSite=Lax keeps them from a POST that another site has sent.
  const posted = await server.call("/sign-in/with/apple/callback", {
    method: "POST",
    headers: {
      ...FORM,
      accept: "text/html",
      origin: "https://appleid.apple.com",
      "sec-fetch-site": "cross-site",
    },
    body: new URLSearchParams(form).toString(),
  });
  assertPage(posted, "/sign-in/with/apple/callback");
  const location = posted.headers.get("location") ?? "";
  assert.match(location, /^\/sign-in\/with\/apple\/callback\?code=a-code&state=/);
  assert.doesNotMatch(location, /user|form_token/);
  assert.deepEqual(posted.headers.getSetCookie(), []);
  const reply = await visit.browser.open(location, { "sec-fetch-site": "cross-site" });
  assert.equal(reply.headers.get("location"), "/account", readable(reply));
  assert.deepEqual(await identities(server), ["mallory apple"]);
});

test("Apple: the client secret is signed for one request by the key that was given", async () => {
  const twin = await startHostileProvider(port);
  let form = new URLSearchParams();
  twin.tell({
    at: {
      "/token": async (request, response) => {
        form = await bodyOf(request);
        response.writeHead(400, { "content-type": "application/json" }).end('{"error":"invalid_grant"}');
      },
    },
  });
  await add({ preset: "apple", issuer: twin.issuer, ...apple });
  const visit = await setOut(server, "apple");
  await comeBack(visit.browser, "apple", { code: "a-code", state: visit.state, iss: twin.issuer });
  const secret = form.get("client_secret") ?? "";
  server.secrets.add(secret);
  const { payload, protectedHeader } = await jwtVerify(secret, publicKey, { audience: twin.issuer });
  assert.deepEqual([protectedHeader.alg, protectedHeader.kid], ["ES256", "KEYID67890"]);
  assert.deepEqual([payload.iss, payload.sub], ["TEAM567890", TWIN.id]);
  assert.ok((payload.exp ?? 0) - (payload.iat ?? 0) <= 300);
});

test("a form of another site at the redirect URI of a provider that sends none is not there", async () => {
  await add({ preset: "oidc", id: "corp", issuer: port.url });
  const reply = await server.call("/sign-in/with/corp/callback", {
    method: "POST",
    headers: { ...FORM, accept: "text/html", "sec-fetch-site": "cross-site" },
    body: "code=x&state=y",
  });
  assert.equal(reply.status, 404);
});

test("LinkedIn and Slack get what they take: PKCE and nonce are left out only where they make it fail", async () => {
  for (const [preset, pkce, nonce] of [
    ["linkedin", false, false],
    ["slack", false, true],
    ["google", true, true],
  ] as const) {
    const twin = await startHostileProvider(port);
    await add({ preset, issuer: twin.issuer });
    const visit = await setOut(server, preset);
    assert.equal(visit.url.searchParams.has("code_challenge"), pkce, preset);
    assert.equal(visit.url.searchParams.has("nonce"), nonce, preset);
    twin.knows(visit.url);
    if (!nonce) twin.tell({ claims: { nonce: undefined } });
    const reply = await comeBack(visit.browser, preset, { code: "c", state: visit.state, iss: twin.issuer });
    assert.equal(reply.status, 303, preset);
  }
});

test("every preset can be added with what docs/providers.md asks for, and trusts no address elsewhere", async () => {
  for (const name of presetNames) {
    const preset = presetOf(name);
    const input = {
      preset: name,
      ...(name === "apple" ? apple : {}),
      ...(name === "oidc" && { issuer: port.url }),
    };
    await add(input);
    const provider = await server.app.providers.find(name);
    assert.equal(provider?.trustsEmail, preset.trustsEmail, name);
    const addresses = preset.protocol === "oauth2" ? Object.values(preset.endpoints) : [];
    for (const address of [preset.issuer ?? "https://x.example", ...addresses])
      assert.match(address, /^https:\/\//);
  }
  const elsewhere: PresetName[] = ["google", "gitlab", "linkedin"];
  for (const preset of elsewhere) {
    await add({ preset, id: `${preset}-2`, issuer: "https://gitlab.corp.example" });
    assert.equal((await server.app.providers.find(`${preset}-2`))?.trustsEmail, false, preset);
  }
});
