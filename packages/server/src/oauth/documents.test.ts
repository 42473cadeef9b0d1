import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";
import { ASSERTION_TYPE } from "../clients/client-authentication.ts";
import { openTestHost } from "../clients/test-clients.ts";
import { rateRules } from "../rate-limits/rules.ts";
import { startTestServer, type TestServer } from "../test-server.ts";

let host: Awaited<ReturnType<typeof openTestHost>>;
let server: TestServer;

before(async () => {
  host = await openTestHost();
  server = await startTestServer({ settings: { clientDocuments: "on", privateHosts: [host.host] } });
});
after(async () => {
  await server?.close();
  await host?.close();
});
beforeEach(() => server.forgetLimits());

/** Whether the token endpoint knows who asks: it gets as far as the grant, of which there is none. */
async function isKnown(parameters: Record<string, string>, on = server): Promise<boolean> {
  const reply = await on.call("/oauth/token", {
    body: new URLSearchParams({ grant_type: "urn:example:none", ...parameters }).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  return reply.json.error === "unsupported_grant_type";
}

test("a client that nobody registered is known by its document, and signs by a key at the address that it names", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const id = `${host.url}/client`;
  host.answers((request, response) => {
    const json =
      request.url === "/client"
        ? {
            client_id: id,
            client_name: "Keys",
            redirect_uris: ["https://app.example/cb"],
            token_endpoint_auth_method: "private_key_jwt",
            jwks_uri: `${host.url}/jwks`,
          }
        : { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "1" }] };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(json));
  });
  const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: id, sub: id, aud: server.issuer, exp: now + 60, iat: now, jti: "1" };
  const signed = `${base64({ alg: "ES256", kid: "1" })}.${base64(claims)}`;
  const signature = sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" });
  const client_assertion = `${signed}.${signature.toString("base64url")}`;
  server.secrets.add(client_assertion);
  const presented = { client_assertion_type: ASSERTION_TYPE, client_assertion };
  assert.ok(!(await isKnown({ client_id: id })), "by its id alone it is nobody");
  assert.ok(await isKnown(presented));
  assert.ok(!(await isKnown(presented)), "once");
  assert.deepEqual(host.asked.sort(), ["/client", "/jwks"]);
});

test("a host is not asked more often than the limits say, whatever addresses strangers name there", async () => {
  host.answers((_request, response) => void response.writeHead(404).end());
  host.asked.length = 0;
  const { burst } = rateRules.clientDocumentHost;
  for (let index = 0; index < burst + 5; index++) {
    assert.ok(!(await isKnown({ client_id: `${host.url}/stranger-${index}` })));
  }
  assert.equal(host.asked.length, burst);
});

test("nor by what a document points to: a sector of somebody else's host is asked for as often as the limits say", async () => {
  const victim = await openTestHost();
  const own = await startTestServer({
    settings: { clientDocuments: "on", privateHosts: [host.host, victim.host] },
  });
  try {
    host.answers((request, response) => {
      const document = {
        client_id: host.url + request.url,
        redirect_uris: ["https://app.example/cb"],
        sector_identifier_uri: `${victim.url}/uris`,
      };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(document));
    });
    const { burst } = rateRules.clientDocumentHost;
    for (let index = 0; index < burst + 5; index++) {
      await isKnown({ client_id: `${host.url}/sector-${index}` }, own);
    }
    assert.equal(victim.asked.length, burst);
  } finally {
    await own.close();
    await victim.close();
  }
});

test("a server for the world asks no host of its own network for strangers, though the settings trust it", async () => {
  const world = await startTestServer({
    settings: {
      issuer: "https://login.example",
      clientDocuments: "on",
      privateHosts: [host.host, "localhost"],
    },
  });
  try {
    const before = host.connections();
    for (const client_id of [
      `${host.url}/client`,
      `${host.url.replace("http:", "https:")}/client`,
      "https://localhost/client",
    ]) {
      assert.ok(!(await isKnown({ client_id }, world)), client_id);
    }
    assert.equal(host.connections(), before);
  } finally {
    await world.close();
  }
});
