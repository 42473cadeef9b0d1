/*
 * oidc-provider at its best honest settings. Arguments: how many sessions, and what keeps them: memory, sqlite or
 * sqlite-grouped (oidc-provider-storage.ts).
 *
 * - A public client: no secret is compared; refresh tokens are replaced at every use, and a used one that comes back
 *   ends its grant (its default for public clients, said here all the same).
 * - The access token is an ES256 JWT for one resource, which it does not store; no ID token, for which a second
 *   signature would be due; no token of a browser session.
 * - The client is in the configuration, so that no row is read for it. What is not asked for is off.
 * - NODE_ENV is production. Its own adapter for memory forgets all but a thousand rows, so that with a thousand
 *   sessions every other token would be lost: ours keeps them in one Map.
 */
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";
import { memoryStorage, sqliteStorage } from "./oidc-provider-storage.ts";

const [, , count = "1000", keptIn = "memory"] = process.argv;
const resource = "https://api.example";
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const storage =
  keptIn === "memory" ? memoryStorage() : sqliteStorage({ grouped: keptIn === "sqlite-grouped" });

const provider = new Provider("http://localhost", {
  adapter: storage.adapter,
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), alg: "ES256", use: "sig", kid: "1" }] },
  clients: [
    {
      client_id: "bench",
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      redirect_uris: ["https://client.example/cb"],
      id_token_signed_response_alg: "ES256",
    },
  ],
  scopes: ["read", "offline_access"],
  rotateRefreshToken: true,
  ttl: { RefreshToken: 14 * 86_400, Grant: 14 * 86_400, AccessToken: 600 },
  findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  features: {
    devInteractions: { enabled: false },
    userinfo: { enabled: false },
    rpInitiatedLogout: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "read",
        audience: resource,
        accessTokenTTL: 600,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});
provider.use(storage.middleware);

const client = await provider.Client.find("bench");
const tokens: string[] = [];
await storage.filling(async () => {
  for (let index = 0; index < Number(count); index++) {
    const accountId = `user ${index}`;
    const grant = new provider.Grant({ accountId, clientId: "bench" });
    grant.addResourceScope(resource, "read");
    const grantId = await grant.save();
    const token = new provider.RefreshToken({
      accountId,
      client,
      grantId,
      resource,
      scope: "read",
      gty: "authorization_code",
      authTime: Math.floor(Date.now() / 1000),
    });
    tokens.push(await token.save());
  }
});

const server = createServer(provider.callback()).listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(
    `${JSON.stringify({ port: typeof address === "object" ? address?.port : 0, tokens })}\n`,
  );
});
process.on("SIGTERM", () => {
  storage.close();
  process.exit(0);
});
