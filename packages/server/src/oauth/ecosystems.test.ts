import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { basic, type Reply, startTestServer } from "../test-server.ts";
import {
  addClient,
  answerOf,
  authorizePath,
  claimsOf,
  codeFor,
  exchange,
  type Parameters,
  pkce,
  postForm,
  query,
  requestOf,
  signedIn,
} from "./test-oauth.ts";

/** What libraries of other ecosystems put on the wire, beside what the specifications ask for: none of it is an error. */

const FORM = "application/x-www-form-urlencoded";
/** As `openssl rand -base64` makes them, and as people type them: characters that a form would encode. */
const secret = "a+b/c%zz d-like %41 secrets==+~!$&'()*,;:@".replaceAll(" ", "_");

const server = await startTestServer({
  settings: { clients: [{ id: "nightly", name: "Nightly", type: "service", secret }] },
});
server.secrets.add(secret);
after(server.close);
await server.addUser("alice", { email: "alice@example.com" });
const alice = await signedIn(server, "alice");
const web = await addClient(server, { metadata: { keyturn_trusted: true } });
const native = await addClient(server, {
  type: "native",
  metadata: { redirect_uris: ["com.example.app:/cb"], token_endpoint_auth_method: "none" },
});

const tokensFor = async (more: Parameters = {}): Promise<Reply> => {
  const { code, verifier } = await codeFor(server, { test: web, browser: alice, more });
  const reply = await exchange(server, web, { code, code_verifier: verifier });
  assert.equal(reply.status, 200, reply.text);
  return reply;
};

/** client_credentials, which needs no person, to try ways to authenticate by. */
const asNightly = (headers: Record<string, string>, more: Parameters = {}) =>
  postForm(server, "/oauth/token", { grant_type: "client_credentials", ...more }, { headers });

const raw = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

describe("discovery", () => {
  for (const path of ["openid-configuration", "oauth-authorization-server", "jwks.json"]) {
    test(`RFC 9110 §9.3.2: HEAD of ${path} is GET without the content`, async () => {
      const head = await server.call(`/.well-known/${path}`, { method: "HEAD" });
      const { text, ...get } = await server.call(`/.well-known/${path}`);
      assert.deepEqual([head.status, head.text], [200, ""]);
      assert.ok(text.length > 0);
      assert.equal(head.headers.get("content-type"), get.headers.get("content-type"));
    });
  }

  for (const accept of ["*/*", "application/json", "text/html, */*;q=0.1", "application/jwk-set+json", ""]) {
    test(`RFC 9110 §12.5.1: answers whatever is accepted: "${accept}"`, async () => {
      for (const path of ["openid-configuration", "jwks.json"]) {
        const reply = await server.call(`/.well-known/${path}?appid=x`, { headers: { accept } });
        assert.equal(reply.status, 200);
        assert.match(reply.headers.get("content-type") ?? "", /json/);
      }
    });
  }
});

describe("the client authenticates", () => {
  const encoded = encodeURIComponent(secret);
  const ways: Record<string, string> = {
    "RFC 6749 §2.3.1: encoded as a form (Go, Spring, openid-client)": raw(`nightly:${encoded}`),
    "RFC 7617 §2: as it is (curl, PHP, Python requests)": raw(`nightly:${secret}`),
    "RFC 9110 §11.1: the scheme in lower case": raw(`nightly:${encoded}`).replace("Basic", "basic"),
    "RFC 9110 §11.1: the scheme in capitals": raw(`nightly:${encoded}`).replace("Basic", "BASIC"),
  };
  for (const [title, authorization] of Object.entries(ways)) {
    test(title, async () => {
      const reply = await asNightly({ authorization });
      assert.equal(reply.status, 200, reply.text);
    });
  }

  test("RFC 6749 §2.3.1: what is neither the secret nor its encoding is not the secret", async () => {
    for (const wrong of [secret.slice(1), encodeURIComponent(encoded), "", secret.replaceAll("+", " ")]) {
      const reply = await asNightly({ authorization: raw(`nightly:${wrong}`) });
      assert.deepEqual([reply.status, reply.json.error], [401, "invalid_client"], wrong);
      // RFC 6749 §5.2: "MUST […] include the WWW-Authenticate response header field".
      assert.match(reply.headers.get("www-authenticate") ?? "", /^Basic/);
    }
  });

  test("RFC 6749 §2.3.1: the secret in the form, as Go tries it after the header", async () => {
    const reply = await asNightly({}, { client_id: "nightly", client_secret: secret });
    assert.equal(reply.status, 200, reply.text);
  });

  test("RFC 6749 §3.2.1: client_id may stand beside the header, if it is the same", async () => {
    const authorization = raw(`nightly:${encoded}`);
    assert.equal((await asNightly({ authorization }, { client_id: "nightly" })).status, 200);
    assert.equal((await asNightly({ authorization }, { client_id: web.client.id })).status, 401);
  });

  test("RFC 6749 §2.3.1: a public client may send its id with an empty secret, in either place", async () => {
    for (const [headers, more] of [
      [{ authorization: raw(`${native.client.id}:`) }, {}],
      [{ authorization: raw(`${native.client.id}:`) }, { client_id: native.client.id }],
      [{}, { client_id: native.client.id, client_secret: "" }],
    ] as const) {
      const { code, verifier } = await codeFor(server, { test: native, browser: alice });
      const grant = { grant_type: "authorization_code", code, code_verifier: verifier };
      const reply = await postForm(server, "/oauth/token", { ...grant, ...more }, { headers });
      assert.equal(reply.status, 200, reply.text);
    }
    for (const wrong of ["a-secret", " "]) {
      const headers = { authorization: raw(`${native.client.id}:${wrong}`) };
      const reply = await postForm(server, "/oauth/token", { grant_type: "refresh_token" }, { headers });
      assert.equal(reply.status, 401);
    }
  });

  test("a wrong way to authenticate does not cost the code: Go tries the other way next", async () => {
    const { code, verifier } = await codeFor(server, { test: web, browser: alice });
    const grant = { grant_type: "authorization_code", code, code_verifier: verifier };
    const headers = { authorization: raw(`${web.client.id}:`) };
    assert.equal((await postForm(server, "/oauth/token", grant, { headers })).status, 401);
    const more = { client_id: web.client.id, client_secret: web.secret };
    assert.equal((await postForm(server, "/oauth/token", { ...grant, ...more })).status, 200);
  });

  for (const type of [
    `${FORM};charset=UTF-8`,
    `${FORM}; charset=utf-8`,
    `${FORM}; charset="UTF-8"`,
    // Apache HttpClient, where nobody says otherwise. What it encodes is ASCII.
    `${FORM}; charset=ISO-8859-1`,
    `${FORM}; charset=us-ascii`,
    "Application/X-WWW-Form-URLEncoded",
  ]) {
    test(`RFC 9110 §8.3.1: the type of the form is ${type}`, async () => {
      const reply = await asNightly({ authorization: basic("nightly", encoded), "content-type": type });
      assert.equal(reply.status, 200, reply.text);
    });
  }
});

describe("the authorization request", () => {
  const requests: Record<string, Parameters> = {
    "RFC 6749 §3.1: unknown parameters are ignored (.NET, Google, Auth0, Microsoft)": {
      "x-client-SKU": "ID_NET9_0",
      "x-client-ver": "8.0.1.0",
      access_type: "offline",
      approval_prompt: "force",
      include_granted_scopes: "true",
      audience: "https://api.example/",
      kc_idp_hint: "corp",
      client_info: "1",
    },
    "RFC 6749 §3.1: parameters without a value are none": {
      prompt: "",
      max_age: "",
      acr_values: "",
      nonce: "",
      login_hint: "",
      response_mode: "",
      claims: "",
      resource: "",
      request: "",
      request_uri: "",
      dpop_jkt: "",
      id_token_hint: "",
    },
    "OpenID Connect Core §3.1.2.1: display, ui_locales and claims_locales are hints": {
      display: "touch",
      ui_locales: "de-CH de en",
      claims_locales: "de",
    },
    "OpenID Connect Core §3.1.2.1: acr_values that are unknown here ask for nothing": {
      acr_values: "urn:mace:incommon:iap:silver loa-2",
    },
    "OAuth 2.0 Multiple Response Types §2.1: response_mode=query is the default": { response_mode: "query" },
    "RFC 6749 §3.3: the order of scopes does not matter": { scope: "profile email openid" },
    "RFC 6749 §3.3: scopes twice, unknown ones and spaces too many": {
      scope: " openid  openid profile User.Read  ",
    },
    "RFC 6749 §4.1.1: state and nonce may be missing": { state: undefined, nonce: undefined },
    "OpenID Connect Core §5.5: claims may be asked for that come by scope, or that nobody knows": {
      claims: JSON.stringify({
        userinfo: { email: { essential: true }, picture: null },
        id_token: { email: null },
      }),
    },
    "OpenID Connect Core §3.1.2.1: two prompts": { prompt: "consent select_account" },
  };
  for (const [title, more] of Object.entries(requests)) {
    test(title, async () => {
      const prompts = more.prompt === "consent select_account";
      const { challenge } = pkce();
      const reply = await alice.open(authorizePath(requestOf(web, challenge, more)));
      if (prompts) assert.equal(reply.status, 200, "somebody is asked");
      else assert.ok(answerOf(reply, web.redirectUri).code, reply.headers.get("location") ?? "");
    });
  }

  test("RFC 9126 §2.1: .NET pushes by itself, with its secret in the form, and is answered by a form", async () => {
    const { verifier, challenge } = pkce();
    const more = {
      client_secret: web.secret,
      response_mode: "form_post",
      nonce: "638.YzQ",
      "x-client-SKU": "ID_NET9_0",
    };
    const pushed = await postForm(server, "/oauth/par", requestOf(web, challenge, more));
    assert.equal(pushed.status, 201, pushed.text);
    const { request_uri } = pushed.json;
    const page = await alice.open(
      authorizePath({ client_id: web.client.id, request_uri: String(request_uri) }),
    );
    const code = /name="code" value="([^"]*)"/.exec(page.text)?.[1] ?? "";
    server.secrets.add(code);
    const grant = { client_id: web.client.id, client_secret: web.secret, redirect_uri: web.redirectUri };
    const form = { grant_type: "authorization_code", code, code_verifier: verifier, ...grant };
    const reply = await postForm(server, "/oauth/token", form);
    assert.equal(claimsOf(reply.json.id_token).nonce, "638.YzQ");
  });

  test("RFC 6749 §4.1.2: state comes back as it was, whatever is in it", async () => {
    for (const state of [
      `{"a":[1,"b c+d%20"]}`,
      "ä€😀&=#?/",
      "x".repeat(2000),
      "OpenIdConnect.AuthenticationProperties=a~b",
    ]) {
      const { answer } = await codeFor(server, { test: web, browser: alice, more: { state } });
      assert.equal(answer.state, state);
    }
  });

  test("OpenID Connect Core §3.1.2.1: the request may be a form that is posted", async () => {
    const { verifier, challenge } = pkce();
    const body = query(requestOf(web, challenge, { nonce: "n" }));
    const posted = await alice.send("/oauth/authorize", {
      method: "POST",
      body,
      headers: { "content-type": FORM, origin: "https://app.example", "sec-fetch-site": "cross-site" },
    });
    const location = new URL(posted.headers.get("location") ?? "", server.url);
    const answer = answerOf(await alice.open(location.pathname + location.search), web.redirectUri);
    const reply = await exchange(server, web, { code: answer.code, code_verifier: verifier });
    assert.equal(claimsOf(reply.json.id_token).nonce, "n");
  });

  test("OpenID Connect Core §3.1.2.1: id_token_hint of who is signed in, with prompt=none", async () => {
    const { id_token } = (await tokensFor()).json;
    const more = { id_token_hint: String(id_token), prompt: "none" };
    assert.ok((await codeFor(server, { test: web, browser: alice, more })).code);
  });

  test("RFC 6749 §3.1.2: a query of the redirect URI stays, and the answer is added to it", async () => {
    const redirectUri = "https://app.example/cb?tenant=1&x=%20y";
    const test = await addClient(server, {
      metadata: { redirect_uris: [redirectUri], keyturn_trusted: true },
    });
    const { challenge } = pkce();
    const reply = await alice.open(authorizePath(requestOf(test, challenge)));
    assert.ok(reply.headers.get("location")?.startsWith(`${redirectUri}&code=`));
  });

  test("RFC 9700 §2.1: a redirect URI with another end (?, /, #) is another, and is not gone to", async () => {
    for (const end of ["?", "/", "#", "%20", "?a=b"]) {
      const { challenge } = pkce();
      const more = { redirect_uri: web.redirectUri + end };
      const reply = await alice.open(authorizePath(requestOf(web, challenge, more)));
      assert.deepEqual([reply.status, reply.headers.get("location")], [400, null], end);
    }
  });

  const refused: Record<string, [Parameters, string]> = {
    "RFC 6749 §4.1.2.1: a response type of the implicit flow": [
      { response_type: "id_token token" },
      "unsupported_response_type",
    ],
    "RFC 6749 §4.1.2.1: no response type": [{ response_type: undefined }, "invalid_request"],
    "RFC 7636 §4.4.1: no PKCE": [
      { code_challenge: undefined, code_challenge_method: undefined },
      "invalid_request",
    ],
    "OpenID Connect Core §6.2: a request elsewhere": [
      { request_uri: "https://app.example/request.jwt" },
      "request_uri_not_supported",
    ],
  };
  for (const [title, [more, error]] of Object.entries(refused)) {
    test(`${title}: the client is told ${error}, with state and iss`, async () => {
      const { challenge } = pkce();
      const reply = await alice.open(authorizePath(requestOf(web, challenge, more)));
      const answer = answerOf(reply, web.redirectUri);
      assert.deepEqual([answer.error, answer.state, answer.iss], [error, "a-state", server.issuer]);
    });
  }
});

describe("with tokens", () => {
  test("RFC 6749 §4.1.3: parameters that the token endpoint does not know are ignored", async () => {
    const { code, verifier } = await codeFor(server, { test: web, browser: alice });
    const more = {
      scope: "openid",
      state: "a-state",
      response_type: "code",
      session_state: "x",
      iss: server.issuer,
    };
    const reply = await exchange(server, web, { code, code_verifier: verifier, ...more });
    assert.equal(reply.status, 200, reply.text);
    // RFC 6749 §5.1.
    assert.match(reply.headers.get("content-type") ?? "", /^application\/json/);
    assert.equal(typeof reply.json.expires_in, "number");
  });

  test("OAuth 2.1 §4.1.3: redirect_uri need not be sent again", async () => {
    const { code, verifier } = await codeFor(server, { test: web, browser: alice });
    const reply = await exchange(server, web, { code, code_verifier: verifier, redirect_uri: undefined });
    assert.equal(reply.status, 200, reply.text);
  });

  test("RFC 6749 §6: a refresh may say the scope again, or less, and what else it likes", async () => {
    const { refresh_token } = (await tokensFor()).json;
    const grant = { grant_type: "refresh_token", refresh_token: String(refresh_token) };
    const more = { scope: "profile openid", redirect_uri: web.redirectUri, client_id: web.client.id };
    const reply = await postForm(server, "/oauth/token", { ...grant, ...more }, { headers: web.headers });
    assert.equal(reply.status, 200, reply.text);
  });

  test("RFC 9110 §11.1: userinfo takes bearer in any case, by GET and by a POST without a body", async () => {
    const { access_token } = (await tokensFor()).json;
    for (const scheme of ["Bearer", "bearer", "BEARER"]) {
      const headers = { authorization: `${scheme} ${access_token}`, accept: "*/*" };
      assert.equal((await server.call("/oauth/userinfo", { headers })).status, 200);
      assert.equal((await server.call("/oauth/userinfo", { method: "POST", headers })).status, 200);
      const head = await server.call("/oauth/userinfo", { method: "HEAD", headers });
      assert.deepEqual([head.status, head.text], [200, ""]);
    }
    const reply = await postForm(server, "/oauth/userinfo", { access_token: String(access_token) });
    assert.equal(reply.json.preferred_username, "alice");
  });

  test("RFC 7009 §2.1: a wrong or unknown token_type_hint is no more than that", async () => {
    for (const token_type_hint of ["access_token", "id_token", ""]) {
      const { refresh_token, access_token } = (await tokensFor()).json;
      const form = { token: String(refresh_token), token_type_hint };
      const reply = await postForm(server, "/oauth/revoke", form, { headers: web.headers });
      assert.deepEqual([reply.status, reply.text], [200, "{}"]);
      const asked = { token: String(access_token) };
      const after = await postForm(server, "/oauth/introspect", asked, { headers: web.headers });
      assert.deepEqual(after.json, { active: false });
    }
  });

  test("Fetch §3.3: a library in a page of any origin may send headers of its own", async () => {
    for (const path of ["token", "userinfo", "revoke", "par"]) {
      const reply = await server.callQuietly(`/oauth/${path}`, {
        method: "OPTIONS",
        headers: {
          origin: "https://app.example",
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization,dpop,x-requested-with,traceparent",
        },
      });
      assert.equal(reply.headers.get("access-control-allow-origin"), "*", path);
      assert.equal(reply.headers.get("access-control-allow-credentials"), null);
      const allowed = (reply.headers.get("access-control-allow-headers") ?? "").toLowerCase();
      for (const name of ["authorization", "dpop", "x-requested-with", "traceparent"])
        assert.ok(allowed.includes(name), `${path}: ${name}`);
    }
  });
});

describe("signing out", () => {
  test("RP-Initiated Logout §2: a hint alone, and hints for people, are enough", async () => {
    const test = await addClient(server, {
      metadata: { post_logout_redirect_uris: ["https://app.example/out"], keyturn_trusted: true },
    });
    for (const method of ["GET", "POST"] as const) {
      const browser = await signedIn(server, "alice");
      const { code, verifier } = await codeFor(server, { test, browser });
      const { id_token } = (await exchange(server, test, { code, code_verifier: verifier })).json;
      const form = query({
        id_token_hint: String(id_token),
        post_logout_redirect_uri: "https://app.example/out",
        ui_locales: "de",
        logout_hint: "alice",
        "x-client-SKU": "ID_NET9_0",
        state: "",
      });
      const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
      const open = (path: string) => server.call(path, { headers: { accept: "text/html", cookie } });
      let reply =
        method === "GET"
          ? await open(`/oauth/logout?${form}`)
          : await server.call("/oauth/logout", { method, body: form, headers: { "content-type": FORM } });
      if (method === "POST") reply = await open(reply.headers.get("location") ?? "");
      assert.equal(reply.headers.get("location"), "https://app.example/out");
    }
  });
});
