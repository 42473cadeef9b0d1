/**
 * An MCP server that asks for tokens of a Keyturn beside it. A client needs nothing but this address: the refusal points
 * to the metadata, the metadata to Keyturn, and there it registers, and people sign in and agree.
 */
import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { createGuard } from "@keyturn/guard";
import { type GuardVariables, protect, serveMetadata } from "@keyturn/guard/hono";
import {
  createMcpHandler,
  localhostAllowedOrigins,
  originValidationResponse,
} from "@modelcontextprotocol/server";
import { Hono } from "hono";
import { createNotes } from "./notes.ts";

const { RESOURCE_ID: id, RESOURCE_SECRET: secret, PORT = "4005" } = process.env;
// How clients know this server, byte for byte: what they name to Keyturn as `resource`, and what is in `aud`.
const resource = process.env.RESOURCE ?? `http://localhost:${PORT}/mcp`;

const guard = createGuard({
  issuer: process.env.KEYTURN_ISSUER ?? "http://localhost:3000",
  resource: id && secret ? { id, secret } : undefined,
  resourceMetadata: { resource, resourceName: "Notes", scopesSupported: ["notes:read"] },
});
await guard.ready();

const notes = createMcpHandler(createNotes(), { maxRequestBodySize: 64 * 1024 });
const app = new Hono<{ Variables: GuardVariables }>();

app.use(serveMetadata(guard));

// MCP: "Servers MUST validate the Origin header": no page of somewhere else may talk to a server on this machine.
app.use(async ({ req }, next) => originValidationResponse(req.raw, localhostAllowedOrigins()) ?? next());

// Without a token: 401, WWW-Authenticate: Bearer scope="notes:read", resource_metadata="…"
app.all("/mcp", protect(guard, { scopes: ["notes:read"] }), ({ req, get }) => {
  const { subject, clientId = "", scopes, expiresAt } = get("identity");
  const authInfo = {
    // A token is for the server that it was given to: no tool can pass on what it does not have.
    token: "",
    clientId,
    scopes: [...scopes],
    expiresAt,
    extra: { subject },
    ...(guard.resourceMetadata && { resourceMetadataUrl: guard.resourceMetadata.url }),
  };
  return notes.fetch(req.raw, { authInfo });
});

const server = createServer(getRequestListener(app.fetch));
server.listen(Number(PORT), "127.0.0.1", () => console.log(`The MCP server listens on ${resource}`));

function stop() {
  guard.close();
  void notes.close();
  server.close();
  server.closeAllConnections();
}
process.once("SIGINT", stop);
process.once("SIGTERM", stop);
