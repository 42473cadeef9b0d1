/*
 * Keyturn as `keyturn serve` runs it, with sessions made beforehand. Prints one line of JSON when it listens.
 * Arguments: how many sessions; KEYTURN_DATABASE may name a PostgreSQL.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApp } from "../packages/server/src/app.ts";
import { listen } from "../packages/server/src/server.ts";

const count = Number(process.argv[2] ?? 1000);
const data = mkdtempSync(join(tmpdir(), "bench-keyturn-"));
const database = process.env.KEYTURN_DATABASE;
const app = await createApp({ data, port: 0, logLevel: "error", ...(database && { database }) });
const added = await app.users.add(
  { username: `bench-${Date.now()}`, password: "correct horse battery" },
  { actor: "operator" },
);
if (added.outcome !== "added") throw new Error(added.outcome);
const tokens: string[] = [];
for (let made = 0; made < count; made += 500) {
  const starts = Array.from({ length: Math.min(500, count - made) }, () =>
    app.sessions.start({
      userId: added.user.id,
      clientId: "first-party",
      kind: "app",
      scope: "",
      amr: ["pwd"],
    }),
  );
  for (const started of await Promise.all(starts)) if (started) tokens.push(started.refreshToken);
}
const server = await listen(app);
process.stdout.write(`${JSON.stringify({ port: server.port, tokens, username: added.user.username })}\n`);
process.on("SIGTERM", async () => {
  await server.stop();
  rmSync(data, { recursive: true, force: true });
});
