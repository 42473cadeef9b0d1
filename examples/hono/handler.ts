/**
 * The guard in a Hono API beside a running Keyturn, as a fetch handler: all that Deno, Bun and workers ask for
 * (`export default { fetch }`). On Node, app.ts serves it.
 */
import { createGuard } from "@keyturn/guard";
import { type GuardVariables, protect } from "@keyturn/guard/hono";
import { Hono } from "hono";

const issuer = process.env.KEYTURN_ISSUER ?? "http://localhost:3000";
const { RESOURCE_ID: id, RESOURCE_SECRET: secret } = process.env;

// With `resource` the guard follows the revocation feed, and hears within a second that somebody signed out.
export const guard = createGuard({
  issuer,
  audience: process.env.AUDIENCE ?? issuer,
  resource: id && secret ? { id, secret } : undefined,
});

const app = new Hono<{ Variables: GuardVariables }>();

app.get("/", (context) => context.json({ api: "photos", signInAt: `${issuer}/login` }));

// Without a token: 401, WWW-Authenticate: Bearer, {"error":"missing_token", ...}
// With one that is expired, forged, revoked, or made for another API: 401, {"error":"invalid_token", ...}
app.get("/protected", protect(guard), (context) => {
  const { subject, sessionId, roles } = context.get("identity");
  return context.json({ message: `Hello, ${subject}`, subject, sessionId, roles });
});

// With a good token of somebody who is no editor: 403, {"error":"insufficient_scope", ...}
app.post("/photos", protect(guard, { roles: ["editor"] }), (context) =>
  context.json({ uploaded: true }, 201),
);

export const fetch = (request: Request) => app.fetch(request);
