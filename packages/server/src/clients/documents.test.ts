import assert from "node:assert/strict";
import type { LookupAddress } from "node:dns";
import { after, before, beforeEach, describe, test } from "node:test";
import sql from "sql-template-tag";
import { createAudit } from "../audit/audit.ts";
import { createFetchDocument, freshSeconds } from "../http/fetch-document.ts";
import { createOutgoing } from "../http/outgoing.ts";
import { limits } from "../primitives/limits.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import { isDocumentId } from "./client-ids.ts";
import { createDocuments, type Documents } from "./documents.ts";
import { openTestClients, openTestHost } from "./test-clients.ts";

let now = 1_800_000_000_000;
const clock = { now: () => now };
let place: TestDatabase;
let room: ReturnType<typeof openTestClients>;
let host: Awaited<ReturnType<typeof openTestHost>>;
let documents: Documents;
let id = "";
let made = 0;
let allowed: (asked: { host: string; isKnown: boolean }) => boolean;

type Settings = Parameters<typeof createDocuments>[0]["settings"];

function open(
  settings: Partial<Settings> = {},
  outgoing: Partial<Parameters<typeof createOutgoing>[0]> = {},
) {
  const { records, fetchDocument } = room;
  return createDocuments({
    records,
    clock,
    log: { info: () => undefined },
    settings: { issuer: "http://127.0.0.1:3000", clientDocuments: "on", ...settings },
    fetchDocument: createFetchDocument(
      createOutgoing({
        settings: { privateHosts: [host.host] },
        bytesMax: limits.clientDocumentBytesMax,
        ...outgoing,
      }),
    ),
    fetchSector: fetchDocument,
    mayFetch: async (asked) => allowed(asked),
  });
}

before(async () => {
  place = await openTestDatabase({ clock });
  room = openTestClients({ database: place.database, clock });
  host = await openTestHost();
});
after(async () => {
  await host?.close();
  await place?.close();
});
beforeEach(() => {
  documents = open();
  allowed = () => true;
  id = `${host.url}/client-${++made}`;
  host.asked.length = 0;
});

const document = (more: object = {}) => ({
  client_id: id,
  client_name: "An application",
  redirect_uris: ["http://127.0.0.1/cb"],
  ...more,
});
const later = (seconds: number) => {
  now += seconds * 1000;
};

describe("draft-ietf-oauth-client-id-metadata-document: a client whose id is its document's address", () => {
  test("§3: https, a path, no user, no dots, no fragment, written as browsers write it", () => {
    for (const good of [
      "https://app.example/client",
      "https://app.example/",
      "https://app.example:8443/a/b.json?x=1",
      "http://localhost:3000/client",
      "http://127.0.0.1:1/",
    ]) {
      assert.ok(isDocumentId(good), good);
    }
    for (const bad of [
      "https://app.example",
      "http://app.example/client",
      "https://user@app.example/client",
      "https://user:pass@app.example/client",
      "https://app.example/a/../b",
      "https://app.example/./b",
      "https://app.example/%2e%2e/b",
      "https://app.example/client#x",
      "https://app.example/client#",
      "https://app.example:443/client",
      "https://APP.example/client",
      "HTTPS://app.example/client",
      "https:/app.example/client",
      "https:\\\\app.example\\client",
      "https://app.example\\@evil.example/",
      "https://0x7f.1/client",
      "https://аpp.example/client",
      "https://app.example/ü",
      "https://app.example/a b",
      "https://app.example/\0",
      " https://app.example/",
      "https://app.example/\n",
      `https://app.example/${"a".repeat(500)}`,
      "ftp://app.example/client",
      "file:///etc/passwd",
      "javascript:alert(1)",
      "app",
      "",
    ]) {
      assert.ok(!isDocumentId(bad), bad);
    }
  });

  test("§4: is what its document says, and is kept", async () => {
    host.json(document({ scope: "openid notes", unknown: 1, client_uri: "https://app.example" }));
    const client = await documents.find(id);
    assert.equal(client?.id, id);
    assert.equal(client?.name, "An application");
    assert.equal(client?.origin, "document");
    assert.equal(client?.type, "native");
    assert.equal(client?.metadata.token_endpoint_auth_method, "none");
    assert.equal(client?.metadata.scope, "openid notes");
    assert.equal(client?.expiresAt, now + limits.clientNeverUsedSeconds * 1000);
    assert.deepEqual(await documents.find(id), client);
    assert.deepEqual(await open().find(id), client);
    assert.equal(host.asked.length, 1);
    const events = (await createAudit(place).list({})).filter(({ clientId }) => clientId === id);
    assert.deepEqual(
      events.map(({ type, actor }) => [type, actor]),
      [["client.added", "system"]],
    );
  });

  test("§4: the client_id inside is that very address", async () => {
    for (const client_id of [
      undefined,
      `${id}/`,
      id.toUpperCase(),
      `${id}?`,
      "https://other.example/client",
      1,
      [id],
    ]) {
      host.json(document({ client_id }));
      assert.equal(await documents.find(id), undefined, JSON.stringify(client_id));
    }
    assert.equal(await room.clients.find(id), undefined);
  });

  test("§4.1: no secret, and no way that needs one; a public key is good, a private one is not", async () => {
    const bad = [
      { client_secret: "x" },
      { client_secret_expires_at: 0 },
      { token_endpoint_auth_method: "client_secret_basic" },
      { token_endpoint_auth_method: "client_secret_post" },
      { token_endpoint_auth_method: "client_secret_jwt" },
      { token_endpoint_auth_method: "private_key_jwt" },
      { jwks: { keys: [{ kty: "EC", crv: "P-256", x: "x", y: "y", d: "z" }] } },
      { jwks: { keys: [{ kty: "oct", k: "x" }] } },
    ];
    for (const more of bad) {
      host.json(document(more));
      assert.equal(await documents.find(id), undefined, JSON.stringify(more));
    }
    const jwks_uri = "https://app.example/jwks";
    host.json(document({ token_endpoint_auth_method: "private_key_jwt", jwks_uri }));
    assert.equal((await documents.find(id))?.metadata.jwks_uri, jwks_uri);
  });

  test("a stranger is for people: it acts not for itself, and says nothing that is the operator's", async () => {
    host.json(
      document({
        grant_types: [
          "authorization_code",
          "client_credentials",
          "urn:ietf:params:oauth:grant-type:token-exchange",
        ],
        keyturn_trusted: true,
      }),
    );
    const client = await documents.find(id);
    assert.deepEqual(client?.metadata.grant_types, ["authorization_code"]);
    assert.equal(client?.metadata.keyturn_trusted, false);
    id = `${id}-2`;
    host.json(document({ grant_types: ["client_credentials"] }));
    assert.equal(await documents.find(id), undefined);
  });

  test("§5: 200 and JSON; every other status, a redirect, another type or no object is no document", async () => {
    const answers: [status: number, headers: Record<string, string>, body: string][] = [
      [301, { location: id, "content-type": "application/json" }, JSON.stringify(document())],
      [302, { location: "http://169.254.169.254/" }, ""],
      [201, { "content-type": "application/json" }, JSON.stringify(document())],
      [404, { "content-type": "application/json" }, JSON.stringify(document())],
      [200, { "content-type": "text/html" }, JSON.stringify(document())],
      [200, {}, JSON.stringify(document())],
      [200, { "content-type": "application/json" }, "{"],
      [200, { "content-type": "application/json" }, "[]"],
      [200, { "content-type": "application/json" }, "null"],
      [200, { "content-type": "application/json" }, ""],
      [200, { "content-type": "application/json" }, `${"[".repeat(5000)}`],
    ];
    for (const [status, headers, body] of answers) {
      host.answers((_request, response) => void response.writeHead(status, headers).end(body));
      assert.equal(await documents.find(id), undefined, `${status} ${body.slice(0, 20)}`);
    }
    host.answers((_request, response) => {
      response.writeHead(200, { "content-type": "application/oauth-client+json; charset=utf-8" });
      response.end(JSON.stringify(document()));
    });
    assert.equal((await documents.find(id))?.id, id);
    // No error was kept (§5.2), nor was any address asked but this one.
    assert.equal(new Set(host.asked).size, 1);
    assert.equal(host.asked.length, answers.length + 1);
  });

  test("§8.7: 5 kilobytes and no byte more; and what comes slowly or never ends is given up", async () => {
    const padded = (bytes: number) => {
      const text = JSON.stringify(document({ padding: "" }));
      return text.replace('"padding":""', `"padding":"${"x".repeat(bytes - text.length)}"`);
    };
    host.json(padded(limits.clientDocumentBytesMax + 1));
    assert.equal(await documents.find(id), undefined);
    host.json(padded(limits.clientDocumentBytesMax));
    assert.equal((await documents.find(id))?.id, id);
    id = `${id}-slow`;
    const quick = open({}, { milliseconds: 30 });
    host.answers(() => undefined);
    assert.equal(await quick.find(id), undefined);
    host.answers((_request, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write("{");
    });
    assert.equal(await quick.find(id), undefined);
  });

  test("§8.6 SSRF: no special address, by number or by name, and a name that changes its address gains nothing", async () => {
    const before = host.asked.length;
    const port = new URL(host.url).port;
    const nobody = open(
      {},
      { settings: { privateHosts: [] }, lookup: () => assert.fail("nobody is to be asked") },
    );
    for (const address of [
      "127.0.0.1",
      "10.0.0.1",
      "169.254.169.254",
      "[::1]",
      "[::ffff:7f00:1]",
      "192.168.1.1",
    ]) {
      assert.equal(await nobody.find(`https://${address}:${port}/client`), undefined, address);
    }
    const answers: LookupAddress[][] = [];
    const rebinding = open(
      {},
      {
        settings: { privateHosts: [] },
        lookup: (_name, _options, callback) => callback(null, answers.shift() ?? []),
      },
    );
    for (const address of ["127.0.0.1", "10.1.2.3", "169.254.169.254"]) {
      answers.push([{ address, family: 4 }], [{ address: "8.8.8.8", family: 4 }]);
      assert.equal(await rebinding.find(`https://rebinding.example:${port}/client`), undefined, address);
      // The first answer is the address that counts; there is no second question.
      assert.equal(answers.length, 1);
      answers.length = 0;
    }
    assert.equal(host.asked.length, before);
  });

  test("§8.6: this machine is asked only by a server that is on it too, for development, and only as the settings say", async () => {
    host.json(document());
    assert.equal(await open({ issuer: "https://login.example" }).find(id), undefined);
    assert.equal(await open({}, { settings: { privateHosts: [] } }).find(id), undefined);
    assert.equal(await open({ clientDocuments: "off" }).find(id), undefined);
    assert.equal(host.asked.length, 0);
    assert.equal((await documents.find(id))?.id, id);
    // Switched off, it is nobody again.
    assert.equal(await open({ clientDocuments: "off" }).find(id), undefined);
  });

  test("§5.2: is kept as HTTP says, within bounds, and asked for again then", async () => {
    const cases: [headers: Record<string, string>, seconds: number][] = [
      [{}, limits.clientDocumentFreshSeconds],
      [{ "cache-control": "max-age=1000" }, 1000],
      [{ "cache-control": "public, max-age=2000, s-maxage=1000" }, 1000],
      [{ "cache-control": "max-age=1600", age: "600" }, 1000],
      [{ "cache-control": "no-store" }, limits.clientDocumentFreshSecondsMin],
      [{ "cache-control": "max-age=0" }, limits.clientDocumentFreshSecondsMin],
      [{ "cache-control": "max-age=99999999" }, limits.clientDocumentFreshSecondsMax],
      [{ expires: "Thu, 01 Jan 2026 00:20:00 GMT", date: "Thu, 01 Jan 2026 00:00:00 GMT" }, 1200],
      [{ expires: "0", date: "Thu, 01 Jan 2026 00:00:00 GMT" }, limits.clientDocumentFreshSecondsMin],
    ];
    for (const [headers, seconds] of cases) {
      id = `${host.url}/fresh-${++made}`;
      host.json(document(), headers);
      host.asked.length = 0;
      await documents.find(id);
      later(seconds - 1);
      await documents.find(id);
      assert.equal(host.asked.length, 1, JSON.stringify(headers));
      later(1);
      await documents.find(id);
      assert.equal(host.asked.length, 2, JSON.stringify(headers));
    }
    assert.equal(freshSeconds(new Headers({ "cache-control": 'max-age="60"' })), 60);
    assert.equal(freshSeconds(new Headers({ "cache-control": "max-age=-1" })), undefined);
  });

  test("§8.4: a document that changes is another from then on; who has consented is asked again when answers go elsewhere", async () => {
    const user = Buffer.alloc(16, ++made);
    await place.database.batch([
      sql`INSERT INTO users (id, username, username_key, created_at, updated_at)
          VALUES (${user}, ${id}, ${id}, 0, 0)`,
    ]);
    const consent = () =>
      place.database.batch([
        sql`INSERT INTO consents (user_id, client_id, scope, resources, created_at, updated_at)
            VALUES (${user}, ${id}, 'openid', '', 0, 0) ON CONFLICT DO NOTHING`,
      ]);
    const consents = async () =>
      (await place.database.all(sql`SELECT 1 FROM consents WHERE client_id = ${id}`)).length;
    host.json(document({ redirect_uris: ["https://a.example/cb", "https://b.example/cb"] }));
    await documents.find(id);
    await consent();
    host.json(document({ redirect_uris: ["https://evil.example/cb"] }));
    assert.deepEqual(
      (await documents.find(id))?.metadata.redirect_uris[0],
      "https://a.example/cb",
      "still fresh",
    );
    // Fewer addresses, another link: nothing that a person agreed to.
    host.json(document({ redirect_uris: ["https://a.example/cb"], client_uri: "https://a.example/x" }));
    later(limits.clientDocumentFreshSeconds);
    assert.deepEqual((await documents.find(id))?.metadata.redirect_uris, ["https://a.example/cb"]);
    assert.equal(await consents(), 1);
    host.json(document({ redirect_uris: ["https://evil.example/cb"] }));
    later(limits.clientDocumentFreshSeconds);
    assert.deepEqual((await documents.find(id))?.metadata.redirect_uris, ["https://evil.example/cb"]);
    assert.equal(await consents(), 0);
    await consent();
    host.json(document({ redirect_uris: ["https://evil.example/cb"], client_name: "Your bank" }));
    later(limits.clientDocumentFreshSeconds);
    assert.equal((await documents.find(id))?.name, "Your bank");
    assert.equal(await consents(), 0);
  });

  test("while the host is away the document is good for a week, and no longer; one that was taken down is gone at once", async () => {
    const away = [
      () => host.answers((request) => void request.socket.destroy()),
      () => host.answers((_request, response) => void response.writeHead(503).end()),
      () => host.answers((_request, response) => void response.writeHead(429).end()),
    ];
    host.json(document());
    await documents.find(id);
    later(limits.clientDocumentFreshSeconds);
    for (const make of away) {
      make();
      assert.equal((await documents.find(id))?.id, id);
    }
    host.answers((_request, response) => void response.writeHead(404).end());
    assert.equal(await documents.find(id), undefined);
    away[0]?.();
    later(limits.clientDocumentStaleSeconds - 1);
    assert.equal((await documents.find(id))?.id, id);
    later(1);
    assert.equal(await documents.find(id), undefined);
    host.json(document());
    assert.equal((await documents.find(id))?.id, id);
  });

  test("strangers cannot hammer others with us: one question at a time for an address, and none that the limits refuse", async () => {
    const waiting = Promise.withResolvers<void>();
    host.answers((_request, response) => {
      void waiting.promise.then(() =>
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(document())),
      );
    });
    const all = Array.from({ length: 50 }, () => documents.find(id));
    waiting.resolve();
    assert.ok((await Promise.all(all)).every((client) => client?.id === id));
    assert.equal(host.asked.length, 1);
    const seen: unknown[] = [];
    allowed = (asked) => {
      seen.push(asked);
      return false;
    };
    later(limits.clientDocumentFreshSeconds);
    assert.equal((await documents.find(id))?.id, id, "what is known stays good");
    assert.equal(await documents.find(`${id}-new`), undefined);
    assert.deepEqual(seen, [
      { host: host.host, isKnown: true },
      { host: host.host, isKnown: false },
    ]);
    assert.equal(host.asked.length, 1);
  });

  test("bounded: no more than so many documents are asked for at once", async () => {
    const waiting = Promise.withResolvers<void>();
    let open = 0;
    host.answers((_request, response) => {
      open++;
      void waiting.promise.then(() => response.writeHead(404).end());
    });
    const all = Array.from({ length: limits.clientDocumentsAtOnceMax }, (_, index) =>
      documents.find(`${id}-${index}`),
    );
    assert.equal(await documents.find(`${id}-more`), undefined);
    waiting.resolve();
    await Promise.all(all);
    assert.equal(open, limits.clientDocumentsAtOnceMax);
  });

  test("of two nodes that see a document first, one adds it and both know it", async () => {
    host.json(document());
    const found = await Promise.all([documents.find(id), open().find(id), open().find(id)]);
    assert.deepEqual(
      found.map((client) => client?.id),
      [id, id, id],
    );
    const rows = await place.database.all(sql`SELECT 1 FROM clients WHERE id = ${id}`);
    assert.equal(rows.length, 1);
  });
});
