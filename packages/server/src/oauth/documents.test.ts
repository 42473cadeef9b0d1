import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";
import { ASSERTION_TYPE } from "../clients/client-authentication.ts";
import { openTestHost } from "../clients/test-clients.ts";
import { limits } from "../primitives/limits.ts";
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

const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** What a client sends that signs by the key above. */
function presented(id: string, jti: string) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: id, sub: id, aud: server.issuer, exp: now + 60, iat: now, jti };
  const signed = `${base64({ alg: "ES256", kid: "1" })}.${base64(claims)}`;
  const signature = sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" });
  const client_assertion = `${signed}.${signature.toString("base64url")}`;
  server.secrets.add(client_assertion);
  return { client_assertion_type: ASSERTION_TYPE, client_assertion };
}

/** The host has a document at each address, and this at those for keys. */
function publish(keys: string): void {
  host.answers((request, response) => {
    const path = request.url ?? "";
    const document = {
      client_id: host.url + path,
      client_name: "Keys",
      redirect_uris: ["https://app.example/cb"],
      token_endpoint_auth_method: "private_key_jwt",
      jwks_uri: `${host.url}/jwks${path}`,
    };
    response.writeHead(200, { "content-type": "application/json" });
    response.end(path.startsWith("/jwks") ? keys : JSON.stringify(document));
  });
}

const keySet = (bytes = 0) => {
  const text = JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "1" }], padding: "" });
  return text.replace('"padding":""', `"padding":"${"x".repeat(Math.max(0, bytes - text.length))}"`);
};

test("a client that nobody registered is known by its document, and signs by a key at the address that it names", async () => {
  const id = `${host.url}/client`;
  publish(keySet());
  assert.ok(!(await isKnown({ client_id: id })), "by its id alone it is nobody");
  const once = presented(id, "1");
  assert.ok(await isKnown(once));
  assert.ok(!(await isKnown(once)), "once");
  assert.deepEqual(host.asked.sort(), ["/client", "/jwks/client"]);
});

test("a key set has 64 kilobytes and no byte more", async () => {
  publish(keySet(limits.clientKeysBytesMax));
  assert.ok(await isKnown(presented(`${host.url}/largest`, "1")));
  publish(keySet(limits.clientKeysBytesMax + 1));
  assert.ok(!(await isKnown(presented(`${host.url}/too-large`, "1"))));
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
