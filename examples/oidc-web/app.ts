/**
 * A web application beside a Keyturn of which it knows the issuer, a client id and a secret: `npm run example oidc-web`,
 * then http://localhost:4007. There is nothing of Keyturn's in it: any OpenID provider will do.
 */
import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { createRemoteJWKSet } from "jose";
import { createLogoutTokens } from "./logout-token.ts";
import { discover } from "./provider.ts";
import { createSite } from "./site.ts";

const { PORT = "4007", CLIENT_ID: clientId = "oidc-web", CLIENT_SECRET: clientSecret } = process.env;
const issuer = process.env.KEYTURN_ISSUER ?? "http://localhost:3000";
const url = process.env.APPLICATION_URL ?? `http://localhost:${PORT}`;
if (clientSecret === undefined) throw new Error("CLIENT_SECRET is not set: the secret of the client.");

const provider = await discover({ issuer, clientId, clientSecret, url });
const keys = createRemoteJWKSet(new URL(provider.keysAt));
const logoutTokens = createLogoutTokens({ issuer, clientId, keys });

const site = createSite({ provider, logoutTokens, issuer, url });
const server = createServer(getRequestListener(site.fetch));
server.listen(Number(PORT), "127.0.0.1", () => console.log(`The application listens on ${url}`));

function stop() {
  server.close();
  server.closeAllConnections();
}
process.once("SIGINT", stop);
process.once("SIGTERM", stop);
