import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import sql from "sql-template-tag";
import { basic, startTestServer, type TestServer } from "../test-server.ts";
import type { Client } from "./client.ts";
import { ASSERTION_TYPE, parseBasicCredentials } from "./client-authentication.ts";

const operator = { actor: "operator" } as const;
const uris = { redirect_uris: ["https://app.example/cb"] };
let server: TestServer;
let web: { client: Client; secret: string };
let open: Client;

async function add(id: string, type: "web" | "spa", metadata = {}) {
  const added = await server.app.clients.add(
    { id, name: id, type, metadata: { ...uris, ...metadata } },
    operator,
  );
  assert.ok(added.outcome === "added", JSON.stringify(added));
  if (added.secret !== undefined) server.secrets.add(added.secret);
  return { client: added.client, secret: added.secret ?? "" };
}

before(async () => {
  server = await startTestServer();
  web = await add("web", "web");
  open = (await add("open", "spa")).client;
  const jwks = { keys: [{ kty: "EC", crv: "P-256", x: "x", y: "y" }] };
  await add("key", "web", { token_endpoint_auth_method: "private_key_jwt", jwks });
});
after(() => server?.close());
beforeEach(() => server.forgetLimits());

/** What the token endpoint says to a client that it knows, of a grant that it does not. */
async function known(parameters: Record<string, string> | string, authorization?: string): Promise<boolean> {
  const body = new URLSearchParams(parameters);
  const reply = await server.call("/oauth/token", {
    body: `grant_type=urn:example:none&${body}`,
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      ...(authorization !== undefined && { authorization }),
    },
  });
  if (reply.json.error === "invalid_client") {
    // RFC 6749 §5.2: "the authorization server MUST respond with an HTTP 401 […] and include the "WWW-Authenticate"".
    assert.equal(reply.status, 401);
    assert.match(reply.headers.get("www-authenticate") ?? "", /^Basic /);
    return false;
  }
  assert.equal(reply.status, 400, reply.text);
  return reply.json.error === "unsupported_grant_type";
}

describe("how a client proves who it is", () => {
  test("RFC 6749 §2.3.1: a secret in the header or in the form, whichever of the two it is registered for", async () => {
    assert.ok(await known({}, basic("web", web.secret)));
    assert.ok(await known({ client_id: "web" }, basic("web", web.secret)));
    assert.ok(await known({ client_id: "web", client_secret: web.secret }));
    for (const secret of ["", "x", `${web.secret}x`, web.secret.slice(1), "x".repeat(5000)]) {
      assert.ok(!(await known({}, basic("web", secret))), secret.slice(0, 10));
      assert.ok(!(await known({ client_id: "web", client_secret: secret })), secret.slice(0, 10));
    }
    assert.ok(!(await known({}, basic("nobody", web.secret))));
    assert.ok(!(await known({ client_secret: web.secret })));
  });

  test("RFC 6749 §2.3: one way in one request, and one client", async () => {
    const header = basic("web", web.secret);
    assert.ok(!(await known({ client_secret: web.secret }, header)));
    assert.ok(!(await known({ client_id: "web", client_secret: web.secret }, header)));
    assert.ok(!(await known({ client_id: "open" }, header)));
    const assertion = { client_assertion_type: ASSERTION_TYPE, client_assertion: "a.b.c" };
    assert.ok(!(await known(assertion, header)));
    assert.ok(!(await known({ ...assertion, client_id: "web", client_secret: web.secret })));
  });

  test("RFC 6749 §2.1: who keeps no secret is known by the id alone, and no other is", async () => {
    assert.ok(await known({ client_id: "open" }));
    assert.ok(!(await known({ client_id: "web" })));
    assert.ok(!(await known({ client_id: "key" })));
    assert.ok(!(await known({})));
    assert.ok(!(await known({ client_id: "open", client_secret: "x" })));
    assert.ok(await known({}, basic("open", "")), "in the header as well, with nothing behind it");
    assert.ok(!(await known({}, basic("open", "x"))));
    for (const id of ["web", "key"]) assert.ok(!(await known({}, basic(id, ""))), id);
    assert.ok(!(await known({ client_id: "https://app.example/client" })), "documents are off");
  });

  test("RFC 6749 §3.2: an empty parameter counts as absent, a repeated one is refused", async () => {
    assert.ok(await known({ client_id: "open", client_secret: "" }));
    assert.ok(
      await known({ client_id: "", client_secret: "", client_assertion: "" }, basic("web", web.secret)),
    );
    const repeated = await server.call("/oauth/token", {
      body: "grant_type=x&client_id=open&client_id=open",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    assert.deepEqual([repeated.status, repeated.json.error], [400, "invalid_request"]);
  });

  test("RFC 7521 §4.2: an assertion says of which kind it is", async () => {
    assert.ok(!(await known({ client_assertion: "a.b.c" })));
    assert.ok(!(await known({ client_assertion: "a.b.c", client_assertion_type: "urn:x" })));
    assert.ok(
      !(await known({ client_assertion_type: ASSERTION_TYPE, client_assertion: "a.b.c", client_id: "key" })),
    );
    // A kind without an assertion says nothing.
    assert.ok(!(await known({ client_assertion_type: ASSERTION_TYPE, client_id: "key" })));
  });

  test("that a client is used is noted, about once a day", async () => {
    assert.ok(await known({ client_id: "open" }));
    const { lastUsedAt } = (await server.app.clients.find("open")) ?? {};
    assert.ok(lastUsedAt !== undefined && open.lastUsedAt === undefined);
    assert.ok(await known({ client_id: "open" }));
    assert.equal((await server.app.clients.find("open"))?.lastUsedAt, lastUsedAt);
    // One that comes from a cache of before is not written again and again.
    await server.database.batch([sql`UPDATE clients SET last_used_at = NULL WHERE id = 'open'`]);
    for (let times = 0; times < 3; times++) assert.ok(await known({ client_id: "open" }));
    assert.equal((await server.app.clients.find("open"))?.lastUsedAt, undefined);
    assert.equal((await server.app.clients.find("open"))?.expiresAt, undefined);
  });
});

describe("client authentication by Basic", () => {
  const header = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

  test("RFC 6749 §2.3.1: takes id and secret, form-encoded", () => {
    assert.deepEqual(parseBasicCredentials("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"), {
      id: "s6BhdRkqt3",
      secret: "gX1fBat3bV",
    });
    assert.deepEqual(parseBasicCredentials(header("a%3Ab:c%2Bd+e%25")), { id: "a:b", secret: "c+d e%" });
    assert.deepEqual(parseBasicCredentials(header("a:b:c")), { id: "a", secret: "b:c" });
    assert.deepEqual(parseBasicCredentials(header("a:")), { id: "a", secret: "" });
    assert.deepEqual(parseBasicCredentials(`bAsIc   ${header("a:b").slice(6)} `), { id: "a", secret: "b" });
    const any = fc.string({ unit: "grapheme-ascii", maxLength: 60 });
    fc.assert(
      fc.property(
        any.filter((id) => id !== ""),
        any,
        (id, secret) => {
          const form = (text: string) => encodeURIComponent(text).replaceAll("%20", "+");
          assert.deepEqual(parseBasicCredentials(header(`${form(id)}:${form(secret)}`)), { id, secret });
        },
      ),
    );
  });

  test("takes nothing malformed", () => {
    const malformed = [
      undefined,
      "",
      "Basic",
      "Basic ",
      "Bearer abc",
      "Basic !!!!",
      "Basic YTpi YTpi",
      "BasicYTpi",
      "Basic YTpi====",
    ];
    const texts = [
      "a",
      ":b",
      "a%:b",
      "a:%zz",
      "a:%00",
      "a:b\0",
      "a:%80",
      "é:b",
      "a:\n",
      `a:${"b".repeat(1_000_000)}`,
    ];
    for (const text of [...malformed, ...texts.map(header)]) {
      assert.equal(parseBasicCredentials(text), undefined, text?.slice(0, 60));
    }
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        parseBasicCredentials(text);
        parseBasicCredentials(header(text));
      }),
    );
  });
});
