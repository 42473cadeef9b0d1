import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { openTestDatabase } from "../packages/server/src/storage/test-database.ts";
import { call, type KeyturnServer, password, startKeyturn } from "./keyturn-process.ts";
import { type Connection, createKeeper, type Keeper, redirectUri, type Sdk, sdks } from "./mcp/clients.ts";
import { createPerson } from "./mcp/person.ts";
import { createStage, freePort, root, untilTrue } from "./stage.ts";

/**
 * The whole way of an MCP client: from the address of examples/mcp to a tool's answer, and to the end of it, through a
 * running Keyturn of which the client knows nothing.
 */

const stage = createStage();
after(() => stage.clear());

let keyturn: KeyturnServer;
let notes: string;
let document: string;
// biome-ignore lint/suspicious/noExplicitAny: what a client reads in the metadata
let metadata: any;

before(async () => {
  document = await serveDocument();
  const place = await openTestDatabase({ empty: true });
  stage.onClear(() => place.close());
  const environment = {
    KEYTURN_DYNAMIC_REGISTRATION: "open",
    KEYTURN_CLIENT_DOCUMENTS: "on",
    KEYTURN_PRIVATE_HOSTS: new URL(document).host,
  };
  keyturn = await startKeyturn(stage, { database: place.url, environment });
  await keyturn.register("alice");
  metadata = (await keyturn.call("/.well-known/oauth-authorization-server")).json;
  notes = await startNotes();
});

/** By the command of the README, which makes it known to Keyturn with its scopes. */
async function startNotes(): Promise<string> {
  const PORT = String(await freePort());
  const RESOURCE = `http://127.0.0.1:${PORT}/mcp`;
  const started = stage.start(path.join(root, "examples/run.ts"), ["mcp"], {
    environment: { ...keyturn.environment, PORT, RESOURCE },
  });
  await started.says(/The MCP server listens on/);
  return RESOURCE;
}

/** A client that is a document. On this machine it may be http, because the issuer is. */
async function serveDocument(): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/json" }).end(
      JSON.stringify({
        client_id: address,
        client_name: "A published client",
        redirect_uris: [redirectUri],
        grant_types: ["authorization_code"],
        response_types: ["code"],
        token_endpoint_auth_method: "none",
      }),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stage.onClear(() => server.close());
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/client.json`;
  return address;
}

async function untilAway(sdk: Sdk, keeper: Keeper, act: () => Promise<unknown>): Promise<URL> {
  await assert.rejects(act, (error) => sdk.isAway(error) || assert.fail(error as Error));
  return keeper.visits.at(-1) as URL;
}

async function comeIn(sdk: Sdk, keeper: Keeper, connection: Connection): Promise<void> {
  const person = createPerson({ username: "alice", password });
  const visit = await untilAway(sdk, keeper, () => connection.connect());
  assert.equal(visit.searchParams.get("resource"), notes);
  // The current line adds offline_access where it may have a refresh token.
  assert.match(visit.searchParams.get("scope") ?? "", /^notes:read( offline_access)?$/);
  const answer = await person.letIn(visit, redirectUri);
  assert.equal(answer.get("error"), null, String(answer));
  assert.equal(answer.get("state"), "a-state");
  // RFC 9207 §2: the answer says whose it is.
  assert.equal(answer.get("iss"), keyturn.issuer);
  assert.ok(
    person.pages.some((page) => page.includes("notes:read")),
    person.pages.join(" | "),
  );
  await connection.finish(answer);
  await connection.connect();
}

/** 403, the person agrees to more, and the tool answers. */
async function stepUp(sdk: Sdk, keeper: Keeper, connection: Connection): Promise<void> {
  const add = () => connection.call("add_note", { text: sdk.name });
  const visit = await untilAway(sdk, keeper, add);
  assert.deepEqual(visit.searchParams.get("scope")?.split(" ").sort(), ["notes:read", "notes:write"]);
  const person = createPerson({ username: "alice", password });
  await connection.finish(await person.letIn(visit, redirectUri));
  assert.ok(
    person.pages.some((page) => page.includes("notes:write")),
    "consent is asked for what is new",
  );
  assert.equal(await add(), "Noted.");
  assert.ok((await connection.call("list_notes")).includes(sdk.name));
}

/** RFC 7009: the client gives back what it has, and the MCP server feels it. */
async function giveBack(keeper: Keeper): Promise<void> {
  const { access_token, refresh_token } = keeper.tokens() ?? assert.fail("no tokens");
  const status = async () =>
    (
      await call(notes, {
        token: access_token,
        json: { jsonrpc: "2.0", id: 1, method: "tools/list" },
        headers: { accept: "application/json, text/event-stream" },
      })
    ).status;
  assert.equal(await status(), 200);
  const response = await fetch(metadata.revocation_endpoint, {
    method: "POST",
    body: new URLSearchParams({ token: refresh_token ?? access_token, client_id: keeper.clientId() }),
  });
  assert.equal(response.status, 200, await response.text());
  await untilTrue(
    1,
    async () => (await status()) === 401,
    "the MCP server did not refuse what was given back",
  );
}

for (const sdk of sdks) {
  describe(`${sdk.name} and Keyturn`, () => {
    test("registers itself, is let in, calls a tool, is let in for more, and is out when it gives that back", async () => {
      const keeper = createKeeper();
      const connection = sdk.open(notes, keeper);
      await comeIn(sdk, keeper, connection);
      assert.deepEqual(await connection.tools(), ["list_notes", "add_note"]);
      await stepUp(sdk, keeper, connection);
      await giveBack(keeper);
      await untilAway(sdk, keeper, () => connection.call("list_notes"));
      await connection.close();
    });

    test("is a document at its address: the same without a registration", async () => {
      // The SDK itself takes https addresses only; Keyturn takes this one while both are on this machine.
      const keeper = createKeeper({ known: { client_id: document, issuer: keyturn.issuer } });
      const connection = sdk.open(notes, keeper);
      await comeIn(sdk, keeper, connection);
      assert.equal(keeper.visits[0]?.searchParams.get("client_id"), document);
      await stepUp(sdk, keeper, connection);
      await giveBack(keeper);
      await connection.close();
    });

    test("goes on by its refresh token when the access token is gone", async () => {
      const keeper = createKeeper({ grants: ["authorization_code", "refresh_token"] });
      const connection = sdk.open(notes, keeper);
      await comeIn(sdk, keeper, connection);
      const before = keeper.tokens() ?? assert.fail("no tokens");
      assert.ok(before.refresh_token !== undefined);
      keeper.provider.saveTokens({ ...before, access_token: "gone" });
      assert.equal(JSON.parse(await connection.call("list_notes")).length >= 0, true);
      assert.notEqual(keeper.tokens()?.refresh_token, before.refresh_token, "it turned");
      assert.equal(keeper.visits.length, 1, "nobody was asked again");
      await connection.close();
    });
  });
}

test("RFC 8707 §2: a token of the first party's is not for this server", async () => {
  const { accessToken } = await keyturn.login("alice");
  const json = { jsonrpc: "2.0", id: 1, method: "tools/list" };
  const refused = await call(notes, { token: accessToken, json });
  assert.deepEqual([refused.status, refused.json.error], [401, "invalid_token"]);
});
