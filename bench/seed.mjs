/*
 * Fills a data folder with one user for each argument after the second and with sessions of the first, and prints
 * their refresh tokens, or for sessions of browsers the values of their cookies; for the kind `client` as many more of
 * an OAuth client, with its secret. Plain JavaScript over the built package: the benchmarks measure what is published.
 */
import { createApp } from "../packages/server/dist/app.js";

const [data, count, kind, ...usernames] = process.argv.slice(2);
const database = process.env.KEYTURN_DATABASE;
const app = await createApp({ data, port: 0, logLevel: "error", ...(database && { database }) });
const ids = [];
for (const username of usernames) {
  const added = await app.users.add({ username, password: "correct horse battery" }, { actor: "operator" });
  if (added.outcome !== "added") throw new Error(added.outcome);
  ids.push(added.user.id);
}
async function start(session) {
  const tokens = [];
  for (let made = 0; made < Number(count); made += 500) {
    const starts = Array.from({ length: Math.min(500, Number(count) - made) }, () =>
      app.sessions.start({ userId: ids[0], amr: ["pwd"], ...session }),
    );
    for (const started of await Promise.all(starts)) tokens.push(started.credential);
  }
  return tokens;
}
const clientTokens = [];
let secret = "";
if (kind === "client") {
  const metadata = { redirect_uris: ["https://client.example/cb"] };
  const added = await app.clients.add(
    { name: "Bench", id: "bench", type: "web", metadata },
    { actor: "operator" },
  );
  if (added.outcome !== "added") throw new Error(added.outcome);
  secret = added.secret;
  clientTokens.push(...(await start({ clientId: "bench", kind, scope: "read" })));
}
const own = kind === "client" ? "app" : kind;
const tokens = await start({ clientId: "first-party", kind: own, scope: "" });
await app.close();
process.stdout.write(JSON.stringify({ tokens, clientTokens, secret }));
