/*
 * better-auth with its OAuth provider, on SQLite, at its best honest settings. It serves what three scenarios ask for:
 * POST /api/auth/oauth2/token, GET /api/auth/get-session and POST /api/auth/sign-in/email.
 *
 * - node:sqlite through its own dialect, as durable as Keyturn is: write-ahead log, flushed at every commit.
 * - A public client: no secret is compared. The access token is an ES256 JWT for one resource; no ID token.
 * - Private keys are stored in the clear, which it allows: otherwise it would open the key again for each signature.
 * - The client and the resource are in its caches. Its rate limits are off, logs too. Sessions are not prolonged while we measure (a day is its default).
 * - Passwords: Argon2id of Keyturn's cost by the same library, by its setting for it. With the second argument
 *   `own-hash` they are hashed as it does by itself, by scrypt in JavaScript.
 * - The second argument says what is printed for the load: `tokens` (refresh tokens), `cookies`, or `cookie-cache`:
 *   cookies too, and a session is read from a signed copy in one of them, and not from the database, for five minutes;
 *   whoever was signed out elsewhere stays in for so long. A session's answer has no JWT in its header.
 * - The plugin's newest version asks for an exact version of a package that newer better-auth no longer takes; this is
 *   the newest better-auth that goes with it.
 */
import { createHmac, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { getOAuthProviderApi, oauthProvider } from "@better-auth/oauth-provider";
import { hash, verify } from "@node-rs/argon2";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";

const [, , count = "1000", kind = "tokens", ...usernames] = process.argv;
const resource = "https://api.example";
const password = "correct horse battery";
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const folder = mkdtempSync(join(tmpdir(), "bench-better-auth-"));
const database = new DatabaseSync(join(folder, "auth.db"));
database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16000");

const provider = {
  loginPage: "/sign-in",
  consentPage: "/consent",
  scopes: ["openid", "offline_access", "read"],
  accessTokenExpiresIn: 600,
  resources: [resource],
  cachedResources: new Set([resource]),
  cachedTrustedClients: new Set(["bench"]),
  enforcePerClientResources: false,
  silenceWarnings: { oauthAuthServerConfig: true, openidConfig: true },
};
const argon2id = {
  hash: (text: string) => hash(text, cost),
  verify: (given: { hash: string; password: string }) => verify(given.hash, given.password),
};
const jwtOptions = {
  jwks: { keyPairConfig: { alg: "ES256" as const }, disablePrivateKeyEncryption: true },
  disableSettingJwtHeader: true,
};
const options = {
  baseURL: "http://localhost",
  secret: randomBytes(32).toString("base64url"),
  database,
  telemetry: { enabled: false },
  logger: { disabled: true },
  rateLimit: { enabled: false },
  session: { cookieCache: { enabled: kind === "cookie-cache", maxAge: 300 } },
  emailAndPassword: {
    enabled: true,
    ...(kind !== "own-hash" && { password: argon2id }),
  },
  plugins: [jwt(jwtOptions), oauthProvider(provider)],
};

await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);
const context = await auth.$context;
const { adapter, internalAdapter } = context;

await adapter.create({
  model: "oauthClient",
  data: {
    clientId: "bench",
    name: "Bench",
    public: true,
    tokenEndpointAuthMethod: "none",
    redirectUris: ["https://client.example/cb"],
    grantTypes: ["authorization_code", "refresh_token"],
    responseTypes: ["code"],
    scopes: provider.scopes,
    createdAt: new Date(),
    updatedAt: new Date(),
  },
});
const client = await adapter.findOne({
  model: "oauthClient",
  where: [{ field: "clientId", value: "bench" }],
});
for (const name of usernames)
  await auth.api.signUpEmail({ body: { name, email: `${name}@bench.example`, password } });
const user = await internalAdapter.createUser({
  email: "bench@bench.example",
  name: "Bench",
  emailVerified: true,
});

// What its token endpoint does after a code was checked, by the same function.
const request = new Request("http://localhost/api/auth/oauth2/token", { method: "POST" });
const body = { grant_type: "authorization_code", client_id: "bench" };
const call = { context, request, headers: request.headers, body, json: (value: unknown) => value };
const issue = getOAuthProviderApi(call as never, provider as never, "authorization_code").issueTokens;

async function refreshToken(sessionId: string): Promise<string> {
  const asked = { client, user, sessionId, scopes: ["offline_access", "read"], resources: [resource] };
  return ((await issue(asked as never)) as unknown as { refresh_token: string }).refresh_token;
}

/** What a browser sends: the cookie of the session, and what the first read of it sets besides. */
async function cookies(token: string): Promise<string> {
  const signature = createHmac("sha256", options.secret).update(token).digest("base64");
  const cookie = `better-auth.session_token=${encodeURIComponent(`${token}.${signature}`)}`;
  if (kind !== "cookie-cache") return cookie;
  const read = new Request("http://localhost/api/auth/get-session", { headers: { cookie } });
  const set = (await auth.handler(read)).headers.getSetCookie().map((line) => line.split(";")[0]);
  return [cookie, ...set.filter((one) => !one?.startsWith("better-auth.session_token="))].join("; ");
}

const tokens: string[] = [];
database.exec("BEGIN");
for (let index = 0; index < Number(count); index++) {
  const session = await internalAdapter.createSession(user.id);
  tokens.push(await (kind.startsWith("cookie") ? cookies(session.token) : refreshToken(session.id)));
}
database.exec("COMMIT");

const server = createServer(toNodeHandler(auth)).listen(0, "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  process.stdout.write(`${JSON.stringify({ port, tokens })}\n`);
});
process.on("SIGTERM", () => {
  database.close();
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
});
