/**
 * The same API with Keyturn inside its process, under /auth: one program, one database file, no network between
 * them. Sign in at /auth/login, refresh at /auth/refresh, list devices at /auth/sessions.
 */
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { identityOf } from "@keyturn/guard";
import { protect } from "@keyturn/guard/express";
import express from "express";
import { createKeyturn, type Keyturn } from "keyturn";

const port = Number(process.env.PORT ?? 4000);
const keyturn = await createKeyturn({
  // The public address under which Keyturn is mounted: the `iss` of every token.
  issuer: process.env.KEYTURN_ISSUER ?? `http://localhost:${port}/auth`,
  data: process.env.KEYTURN_DATA ?? fileURLToPath(new URL("./data", import.meta.url)),
  logLevel: "warn",
});
await addFirstUser(keyturn);

const app = express();
app.disable("x-powered-by");
// Before any body parser: Keyturn reads the bodies of its own requests, with its own limits.
app.use("/auth", keyturn.nodeHandler);

// Its guard follows revocations in this process: the next request knows of them.
const { guard } = keyturn;

app.get("/protected", protect(guard), (request, response) => {
  const { subject, sessionId, roles } = identityOf(request);
  response.json({ message: `Hello, ${subject}`, subject, sessionId, roles });
});

app.post("/articles", protect(guard, { roles: ["editor"] }), express.json(), (_request, response) => {
  response.status(201).json({ published: true });
});

const server = app.listen(port, "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(
    `The API listens on http://localhost:${port}, and people sign in at ${keyturn.settings.issuer}`,
  );
});

/** Someone to sign in as. Others register themselves by POST /auth/register. */
async function addFirstUser({ users }: Keyturn): Promise<void> {
  if ((await users.list({ rows: 1 })).length > 0) return;
  const password = randomBytes(15).toString("base64url");
  const added = await users.add({ username: "alice", password, roles: ["editor"] }, { actor: "operator" });
  if (added.outcome !== "added") throw new Error(`The first user was not added: ${added.outcome}`);
  console.log(`The first user, shown this once: alice, password ${password}`);
}

async function stop() {
  const closed = new Promise((resolve) => server.close(resolve));
  // Guards of other processes may follow the feed: such a connection does not end by itself.
  setTimeout(() => server.closeAllConnections(), 5000).unref();
  await closed;
  await keyturn.close();
}
process.once("SIGINT", () => void stop());
process.once("SIGTERM", () => void stop());
