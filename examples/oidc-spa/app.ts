/**
 * A page and its API at an origin of their own, beside a Keyturn of which they know the issuer and a client id:
 * `npm run example oidc-spa`, then http://localhost:4006.
 */
import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { createGuard } from "@keyturn/guard";
import { createSite } from "./site.ts";

const { PORT = "4006", CLIENT_ID: clientId = "oidc-spa" } = process.env;
const { RESOURCE_ID: id, RESOURCE_SECRET: secret } = process.env;
const issuer = process.env.KEYTURN_ISSUER ?? "http://localhost:3000";

// With `resource` the guard follows the revocation feed, and hears within a second that the page was locked out.
const guard = createGuard({
  issuer,
  audience: process.env.AUDIENCE ?? issuer,
  resource: id && secret ? { id, secret } : undefined,
});
await guard.ready();

const server = createServer(getRequestListener(createSite({ guard, issuer, clientId }).fetch));
server.listen(Number(PORT), "127.0.0.1", () => console.log(`The page listens on http://localhost:${PORT}`));

function stop() {
  guard.close();
  server.close();
  server.closeAllConnections();
}
process.once("SIGINT", stop);
process.once("SIGTERM", stop);
