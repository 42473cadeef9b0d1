import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";
import { createGuard } from "@keyturn/guard";
import { protect } from "@keyturn/guard/node";
import type { ClientType } from "../../packages/server/src/clients/client.ts";
import type { ClientMetadataInput } from "../../packages/server/src/clients/client-metadata.ts";
import { startTestServer } from "../../packages/server/src/test-server.ts";
import { createPerson } from "../mcp/person.ts";
import { untilTrue } from "../stage.ts";

/**
 * One Keyturn, an API behind @keyturn/guard that knows nothing of it but its address, and a person. What a foreign client
 * is given is the issuer, its id and its secret.
 */

const operator = { actor: "operator" } as const;
export const username = "alice";
export const password = "correct horse battery";
/** Nobody listens there: the test itself hands the answer to the library. */
export const redirectUri = "https://app.example/callback";
export const signedOutUri = "https://app.example/signed-out";

/** A wait of a revocation on its way. */
const secondsToFeel = 1;

interface HouseOptions {
  /** Of the issuer. */
  readonly hostname?: string;
  readonly privateHosts?: string[];
}

export type House = Awaited<ReturnType<typeof openHouse>>;

export async function openHouse({ hostname, ...more }: HouseOptions = {}) {
  const server = await startTestServer({
    ...(hostname !== undefined && { hostname }),
    settings: { scopes: ["notes.read", "notes.write"], dynamicRegistration: "open", ...more },
  });
  const user = await server.addUser(username, { email: "alice@example.com" });
  const api = await openApi();
  after(async () => {
    await api.close();
    await server.close();
  });

  async function openApi() {
    const listening = createServer((request, response) => route(request, response));
    await new Promise<void>((done) => listening.listen(0, "127.0.0.1", done));
    const origin = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
    const resource = `${origin}/notes`;
    const added = await server.app.clients.add(
      {
        name: "Notes",
        type: "resource",
        metadata: { keyturn_resources: [resource], scope: "notes.read notes.write" },
      },
      operator,
    );
    if (added.outcome !== "added" || added.secret === undefined) throw new Error(added.outcome);
    const { client, secret } = added;
    server.secrets.add(secret);
    const guard = createGuard({
      issuer: server.issuer,
      audience: resource,
      resource: { id: client.id, secret },
    });
    const own = createGuard({
      issuer: server.issuer,
      audience: server.app.settings.audience,
      resource: { id: client.id, secret },
    });
    await Promise.all([guard.ready(), own.ready()]);
    const toSubject = (
      _request: unknown,
      response: import("node:http").ServerResponse,
      { identity }: { identity: { subject: string; clientId?: string | undefined } },
    ) => response.end(JSON.stringify({ subject: identity.subject, client: identity.clientId }));
    const routes = {
      "/notes": protect(guard, toSubject, { scopes: ["notes.read"] }),
      "/notes/vault": protect(guard, toSubject, { scopes: ["notes.read"], acr: ["urn:keyturn:2fa"] }),
      "/plain": protect(own, toSubject),
    };
    const route: Parameters<typeof createServer>[1] & {} = (request, response) => {
      const listener = routes[request.url as keyof typeof routes];
      // In front of the guard: a preflight has no token.
      response.setHeader("Access-Control-Allow-Origin", "*");
      response.setHeader("Access-Control-Allow-Headers", "Authorization, DPoP");
      response.setHeader("Access-Control-Expose-Headers", "DPoP-Nonce, WWW-Authenticate");
      if (request.method === "OPTIONS") response.writeHead(204).end();
      else if (listener === undefined) response.writeHead(404).end();
      else listener(request, response);
    };
    return {
      /** For whom a token has to be. */
      resource,
      credentials: { id: client.id, secret },
      url: (path: keyof typeof routes) => new URL(path, origin),
      async close() {
        guard.close();
        own.close();
        listening.closeAllConnections();
        await new Promise((done) => listening.close(done));
      },
    };
  }

  return {
    server,
    issuer: server.issuer,
    api,
    user,
    person: (name = username) => createPerson({ username: name, password }),

    /** What is configured in an application. */
    async addClient(type: ClientType, metadata: ClientMetadataInput = {}) {
      const isForPeople = type !== "service" && type !== "resource";
      const addresses = { redirect_uris: [redirectUri], post_logout_redirect_uris: [signedOutUri] };
      const added = await server.app.clients.add(
        { name: "An application", type, metadata: { ...(isForPeople && addresses), ...metadata } },
        operator,
      );
      if (added.outcome !== "added") throw new Error(JSON.stringify(added));
      if (added.secret !== undefined) server.secrets.add(added.secret);
      return { id: added.client.id, secret: added.secret ?? "" };
    },

    /** The API refuses it within a second. */
    untilRefused: (call: () => Promise<{ readonly status: number }>) =>
      untilTrue(secondsToFeel, async () => (await call()).status === 401, "the API did not refuse it"),
  };
}
