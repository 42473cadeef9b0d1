/*
 * What a good programmer writes by hand in an afternoon, with nothing around it: Hono, an ES256 signature, and a
 * SQLite row found by the digest of a random refresh token; all rotations of a moment share one commit. No theft is
 * found, no retry is answered, nothing is revoked. It is the ceiling that Keyturn is measured against.
 */
import { createPrivateKey, generateKeyPairSync, hash, randomBytes, sign } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const sessions = Number(process.argv[2] ?? 1000);
const folder = mkdtempSync(join(tmpdir(), "bench-by-hand-"));
const database = new DatabaseSync(join(folder, "sessions.db"));
database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16000");
database.exec(
  "CREATE TABLE sessions (digest BLOB PRIMARY KEY, user_id TEXT NOT NULL, last_used INTEGER NOT NULL) WITHOUT ROWID",
);
const update = database.prepare(
  "UPDATE sessions SET digest = ?, last_used = ? WHERE digest = ? RETURNING user_id",
);
const insert = database.prepare("INSERT INTO sessions (digest, user_id, last_used) VALUES (?, ?, ?)");

const privateKey = createPrivateKey(
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }),
);
const header = Buffer.from(JSON.stringify({ alg: "ES256", typ: "at+jwt", kid: "1" })).toString("base64url");

function accessToken(userId: string): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: "http://localhost",
    sub: userId,
    aud: "http://localhost",
    iat: now,
    exp: now + 600,
    jti: randomBytes(16).toString("base64url"),
  };
  const input = `${header}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
  return `${input}.${joined(sign("sha256", Buffer.from(input), privateKey)).toString("base64url")}`;
}

/** DER to r‖s: twice as fast as asking node:crypto for that form. */
function joined(der: Buffer): Buffer {
  const out = Buffer.alloc(64);
  let at = 3;
  for (const end of [32, 64]) {
    const length = der[at] as number;
    const from = at + 1 + Math.max(0, length - 32);
    der.copy(out, end - Math.min(32, length), from, at + 1 + length);
    at += length + 2;
  }
  return out;
}

interface Waiting {
  token: string;
  done(row: { user_id: string } | undefined, next: string): void;
}
let waiting: Waiting[] = [];

function commit(): void {
  const batch = waiting;
  waiting = [];
  const now = Date.now();
  database.exec("BEGIN IMMEDIATE");
  const results = batch.map(({ token }) => {
    const next = randomBytes(32).toString("base64url");
    const row = update.get(hash("sha256", next, "buffer"), now, hash("sha256", token, "buffer"));
    return { row: row as { user_id: string } | undefined, next };
  });
  database.exec("COMMIT");
  for (const [index, { row, next }] of results.entries()) batch[index]?.done(row, next);
}

const app = new Hono();
app.post("/refresh", async (context) => {
  const { refreshToken } = await context.req.json();
  const { row, next } = await new Promise<{ row: { user_id: string } | undefined; next: string }>(
    (resolve) => {
      if (waiting.length === 0) setImmediate(commit);
      waiting.push({ token: refreshToken, done: (row, next) => resolve({ row, next }) });
    },
  );
  if (row === undefined) return context.json({ error: "invalid_refresh_token" }, 401);
  return context.json({
    accessToken: accessToken(row.user_id),
    refreshToken: next,
    tokenType: "Bearer",
    expiresIn: 600,
  });
});

const tokens: string[] = [];
database.exec("BEGIN");
for (let index = 0; index < sessions; index++) {
  const token = randomBytes(32).toString("base64url");
  insert.run(hash("sha256", token, "buffer"), `user ${index}`, Date.now());
  tokens.push(token);
}
database.exec("COMMIT");
serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => {
  process.stdout.write(`${JSON.stringify({ port, tokens })}\n`);
});
process.on("SIGTERM", () => {
  database.close();
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
});
