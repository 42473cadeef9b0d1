import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { call, startExample } from "./keyturn-process.ts";
import { type Connection, createKeeper, type Keeper, type Sdk, sdks } from "./mcp/clients.ts";
import { type StubIssuer, startStubIssuer } from "./mcp/stub-issuer.ts";
import { createStage, freePort, type RunningProcess } from "./stage.ts";

/** examples/mcp between the clients of the official SDK and an issuer that is a stub. */

const stage = createStage();
after(() => stage.clear());

interface Notes {
  readonly issuer: StubIssuer;
  readonly process: RunningProcess;
  readonly url: string;
}

let notes: Notes;
/** The same with an issuer that takes Client ID Metadata Documents. */
let withDocuments: Notes;

async function startNotes(takesDocuments: boolean): Promise<Notes> {
  const issuer = await startStubIssuer({ takesDocuments });
  stage.onClear(issuer.close);
  const PORT = String(await freePort());
  const url = `http://127.0.0.1:${PORT}/mcp`;
  const { process } = await startExample(stage, "mcp/app.ts", {
    PORT,
    RESOURCE: url,
    KEYTURN_ISSUER: issuer.url,
  });
  return { issuer, url, process };
}

before(async () => {
  [notes, withDocuments] = await Promise.all([startNotes(false), startNotes(true)]);
});

const metadataOf = (url: string) => url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp");

/** What a client does until the person has to do something; where the person is sent. */
async function untilAway(sdk: Sdk, keeper: Keeper, act: () => Promise<unknown>): Promise<URL> {
  const before = keeper.visits.length;
  await assert.rejects(act, (error) => sdk.isAway(error) || assert.fail(error as Error));
  assert.equal(keeper.visits.length, before + 1, "the person is sent away once");
  return keeper.visits.at(-1) as URL;
}

async function connect(sdk: Sdk, { url, issuer }: Notes, keeper: Keeper): Promise<Connection> {
  const connection = sdk.open(url, keeper);
  const visit = await untilAway(sdk, keeper, () => connection.connect());
  await connection.finish(issuer.agree(visit));
  await connection.connect();
  return connection;
}

for (const sdk of sdks) {
  describe(sdk.name, () => {
    test("MCP Authorization: finds the issuer by the address alone, registers, and asks for this server and its scope", async () => {
      const keeper = createKeeper();
      const known = notes.issuer.registrations.length;
      const connection = sdk.open(notes.url, keeper);
      const { searchParams } = await untilAway(sdk, keeper, () => connection.connect());
      assert.deepEqual(
        notes.issuer.registrations.at(-1)?.redirect_uris,
        keeper.provider.clientMetadata.redirect_uris,
      );
      assert.equal(notes.issuer.registrations.length, known + 1);
      assert.equal(searchParams.get("client_id"), keeper.clientId());
      assert.equal(searchParams.get("resource"), notes.url);
      assert.equal(searchParams.get("scope"), "notes:read");
      assert.equal(searchParams.get("state"), "a-state");
      await connection.close();
    });

    test("a client that is a document registers nowhere: its address is its id", async () => {
      const document = "https://app.example.com/client.json";
      const keeper = createKeeper({ document });
      const connection = sdk.open(withDocuments.url, keeper);
      const { searchParams } = await untilAway(sdk, keeper, () => connection.connect());
      assert.equal(searchParams.get("client_id"), document);
      assert.equal(withDocuments.issuer.registrations.length, 0);
      await connection.close();
    });

    test("calls a tool; for another that needs more it asks for more, and then calls that", async () => {
      const keeper = createKeeper();
      const connection = await connect(sdk, notes, keeper);
      assert.equal(notes.issuer.tokenRequests.at(-1)?.get("resource"), notes.url);
      assert.deepEqual(await connection.tools(), ["list_notes", "add_note"]);
      const kept = JSON.parse(await connection.call("list_notes"));

      const add = () => connection.call("add_note", { text: `by ${sdk.name}` });
      const visit = await untilAway(sdk, keeper, add);
      assert.equal(visit.searchParams.get("scope"), "notes:read notes:write");
      assert.equal(visit.searchParams.get("resource"), notes.url);
      await connection.finish(notes.issuer.agree(visit));
      assert.equal(await add(), "Noted.");
      assert.deepEqual(JSON.parse(await connection.call("list_notes")), [...kept, `by ${sdk.name}`]);
      await connection.close();
    });
  });
}

describe("examples/mcp", () => {
  const ask = (token?: string, body: unknown = { jsonrpc: "2.0", id: 1, method: "tools/list" }) =>
    call(notes.url, {
      json: body,
      headers: { accept: "application/json, text/event-stream" },
      ...(token !== undefined && { token }),
    });

  test("RFC 9728 §5.1: tells who has no token where the metadata is and which scope is needed", async () => {
    const refused = await ask();
    assert.equal(refused.status, 401);
    const challenge = `Bearer scope="notes:read", resource_metadata="${metadataOf(notes.url)}"`;
    assert.equal(refused.headers.get("www-authenticate"), challenge);
    const { status, json } = await call(metadataOf(notes.url));
    assert.equal(status, 200);
    assert.deepEqual([json.resource, json.authorization_servers], [notes.url, [notes.issuer.url]]);
    assert.deepEqual(json.scopes_supported, ["notes:read"]);
  });

  test("RFC 8707 §2: a token for another server, or for this one at another address, is refused", async () => {
    const good = await notes.issuer.mint({ aud: notes.url, scope: "notes:read" });
    assert.equal((await ask(good)).status, 200);
    for (const aud of [withDocuments.url, `${notes.url}/`, notes.issuer.url]) {
      const refused = await ask(await notes.issuer.mint({ aud, scope: "notes:read" }));
      assert.deepEqual([refused.status, refused.json.error], [401, "invalid_token"], aud);
    }
    const stranger = await withDocuments.issuer.mint({ aud: notes.url, scope: "notes:read" });
    assert.equal((await ask(stranger)).status, 401, "of another issuer");
  });

  test("MCP: 403 insufficient_scope names every scope that the tool needs, and where the metadata is", async () => {
    const token = await notes.issuer.mint({ aud: notes.url, scope: "notes:read" });
    const params = { name: "add_note", arguments: { text: "no" } };
    const refused = await ask(token, { jsonrpc: "2.0", id: 1, method: "tools/call", params });
    assert.equal(refused.status, 403);
    const challenge = refused.headers.get("www-authenticate") ?? "";
    assert.match(challenge, /^Bearer error="insufficient_scope"/);
    assert.match(challenge, /scope="notes:read notes:write"/);
    assert.ok(challenge.includes(`resource_metadata="${metadataOf(notes.url)}"`), challenge);
    const without = await notes.issuer.mint({ aud: notes.url, scope: "openid" });
    const { status, headers } = await ask(without);
    assert.equal(status, 403);
    assert.match(headers.get("www-authenticate") ?? "", /error="insufficient_scope".*scope="notes:read"/);
  });

  test("MCP: a page of somewhere else cannot talk to a server on this machine", async () => {
    const token = await notes.issuer.mint({ aud: notes.url, scope: "notes:read" });
    const headers = { origin: "https://evil.example", accept: "application/json, text/event-stream" };
    const body = { jsonrpc: "2.0", id: 1, method: "tools/list" };
    assert.equal((await call(notes.url, { json: body, headers, token })).status, 403);
  });

  test("ends when it is told to", async () => {
    assert.equal((await withDocuments.process.stop()).code, 0);
  });
});
