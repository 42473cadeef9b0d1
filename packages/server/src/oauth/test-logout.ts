import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { Client, ClientType } from "../clients/client.ts";
import type { ClientMetadataInput } from "../clients/client-metadata.ts";
import type { Session } from "../sessions/session.ts";
import type { TestServer } from "../test-server.ts";

const operator = { actor: "operator" } as const;

export async function addClient(
  { app, secrets }: TestServer,
  metadata: ClientMetadataInput,
  type: ClientType = "web",
): Promise<Client> {
  const added = await app.clients.add(
    { name: "Shop", type, metadata: { redirect_uris: ["https://shop.example/back"], ...metadata } },
    operator,
  );
  assert.ok(added.outcome === "added", JSON.stringify(added));
  if (added.secret !== undefined) secrets.add(added.secret);
  return added.client;
}

/** What the user let the client in to, from the browser's session, as the authorization endpoint would. */
export async function letIn(
  { app }: TestServer,
  { client, browser, parent = browser.id }: { client: Client; browser: Session; parent?: string | undefined },
): Promise<Session> {
  const started = await app.sessions.start({
    userId: browser.userId,
    clientId: client.id,
    kind: "client",
    parent: parent === "" ? undefined : parent,
    scope: "openid",
    amr: ["pwd"],
  });
  assert.ok(started);
  return started.session;
}

export function idTokenOf({ app }: TestServer, { client, session }: { client: Client; session: Session }) {
  return app.idTokens.mint({
    subject: app.subjects.of(client, session.userId),
    clientId: client.id,
    sessionId: session.id,
    authenticatedAt: session.authenticatedAt,
    amr: session.amr,
    algorithm: client.metadata.id_token_signed_response_alg,
  });
}

export interface Told {
  readonly token: string;
  readonly type: string | undefined;
}

/** The application's side: takes logout tokens, and answers as it is told to. */
export async function startReceiver() {
  const told: Told[] = [];
  let answer: number | "cut" = 200;
  const server = createServer(async (request: IncomingMessage, response) => {
    let body = "";
    for await (const part of request) body += part;
    told.push({
      token: new URLSearchParams(body).get("logout_token") ?? "",
      type: request.headers["content-type"],
    });
    if (answer === "cut") request.socket.destroy();
    else response.writeHead(answer).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    told,
    host: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}/logout/${randomBytes(4).toString("hex")}`,
    answerWith(next: number | "cut") {
      answer = next;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
