/*
 * The ceiling: what Keyturn does for a refresh, written by hand with nothing around it. A token's tag, the successor by
 * derivation, the attempt key's digest, one conditional update that remembers the last four replacements, a shared
 * commit on a thread of its own, an ES256 access token with the same claims, the same reply. The primitives (digests,
 * the token's form, the JWT) are the server's own; rules that a good turn does not need, checks of the input, headers,
 * metrics, rights, errors and everything else are not there. A thief is refused, but nobody is told.
 *
 * Arguments: how many sessions, and what speaks HTTP: node (node:http alone) or hono.
 */
import { createSecretKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import type { SigningKey } from "../../packages/server/src/keys/signing-key.ts";
import { hmacSha256, sha256 } from "../../packages/server/src/primitives/digest.ts";
import { idFromBytes, idToBytes, newId } from "../../packages/server/src/primitives/id.ts";
import { signJwt } from "../../packages/server/src/tokens/jwt.ts";
import { createRefreshTokens } from "../../packages/server/src/tokens/refresh-token.ts";
import { openFile, SECONDS, type Turned, writeTurns } from "./ceiling-writer.ts";

interface Asked {
  readonly token: string;
  readonly attemptKey: string | undefined;
}

if (isMainThread) main();
else writeTurns((workerData as { path: string }).path);

function main(): void {
  const [, , count = "1000", by = "node"] = process.argv;
  const folder = mkdtempSync(join(tmpdir(), "bench-ceiling-"));
  const path = join(folder, "sessions.db");
  const key = () => createSecretKey(randomBytes(32));
  const refreshKey = { chain: key(), tag: key() };
  const attemptDigestKey = key();
  const refreshTokens = createRefreshTokens({ currentId: 1, byId: new Map([[1, refreshKey]]) });
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signingKey = { id: "1", algorithm: "ES256", privateKey } as SigningKey;
  const tokens = fill(path, { count: Number(count), refreshTokens });
  const turn = turnsBy(new Worker(new URL(import.meta.url), { workerData: { path } }));

  /** Undefined: refused. */
  async function refresh({ token, attemptKey }: Asked): Promise<string | undefined> {
    const parts = refreshTokens.decode(token);
    if (parts === undefined) return undefined;
    const { keyId, sessionId, generation, secret } = parts;
    const next = refreshTokens.nextSecret({ keyId, sessionId, generation, secret });
    if (next === undefined) return undefined;
    const attempt = attemptKey === undefined ? undefined : hmacSha256(attemptDigestKey, attemptKey);
    const row = await turn({ sessionId, generation, from: sha256(secret), to: sha256(next), attempt });
    if (row === undefined) return undefined;
    const now = Math.floor(Date.now() / 1000);
    const sid = idFromBytes(sessionId);
    const claims = {
      iss: "http://localhost:3000",
      sub: idFromBytes(row.userId),
      aud: "http://localhost:3000",
      client_id: "first-party",
      iat: now,
      exp: now + SECONDS,
      jti: randomBytes(16).toString("base64url"),
      sid,
      auth_time: Math.floor(row.authenticatedAt / 1000),
      acr: "urn:keyturn:acr:one",
      amr: row.amr.split(" "),
    };
    return JSON.stringify({
      accessToken: signJwt({ key: signingKey, type: "at+jwt", claims }),
      tokenType: "Bearer",
      expiresIn: SECONDS,
      refreshToken: refreshTokens.encode({ keyId, sessionId, generation: generation + 1, secret: next }),
      refreshExpiresIn: Math.round((row.expiresAt - Date.now()) / 1000),
      sessionId: sid,
    });
  }

  const ready = (port: number) => process.stdout.write(`${JSON.stringify({ port, tokens })}\n`);
  if (by === "hono") listenWithHono(refresh, ready);
  else listenWithNode(refresh, ready);
  process.on("SIGTERM", () => {
    rmSync(folder, { recursive: true, force: true });
    process.exit(0);
  });
}

interface Turn {
  readonly sessionId: Buffer;
  readonly generation: number;
  readonly from: Buffer;
  readonly to: Buffer;
  readonly attempt: Buffer | undefined;
}

/** Turns of one moment go to the writing thread as one message of bytes: 16 + 4 + 32 + 32 + 16 for each. */
function turnsBy(writer: Worker) {
  const bytesATurn = 100;
  let gathering: { turn: Turn; done(row: Turned | undefined): void }[] = [];
  let writing: typeof gathering | undefined;

  function send(): void {
    if (writing !== undefined || gathering.length === 0) return;
    writing = gathering;
    gathering = [];
    const message = Buffer.from(new ArrayBuffer(writing.length * bytesATurn));
    for (const [index, { turn }] of writing.entries()) {
      const at = index * bytesATurn;
      turn.sessionId.copy(message, at);
      message.writeUInt32BE(turn.generation, at + 16);
      turn.from.copy(message, at + 20);
      turn.to.copy(message, at + 52);
      turn.attempt?.copy(message, at + 84, 0, 16);
    }
    writer.postMessage(message.buffer, [message.buffer as ArrayBuffer]);
  }

  writer.on("message", (rows: (Turned | undefined)[]) => {
    const done = writing ?? [];
    writing = undefined;
    for (const [index, one] of done.entries()) one.done(rows[index]);
    setImmediate(send);
  });
  return (turn: Turn) =>
    new Promise<Turned | undefined>((done) => {
      if (gathering.length === 0) setImmediate(send);
      gathering.push({ turn, done });
    });
}

type Refresh = (asked: Asked) => Promise<string | undefined>;

function listenWithNode(refresh: Refresh, ready: (port: number) => void): void {
  const headers = { "Content-Type": "application/json", "Cache-Control": "no-store" };
  const answer = async (request: IncomingMessage, response: ServerResponse, body: string) => {
    const attemptKey = request.headers["idempotency-key"] as string | undefined;
    const text = await refresh({ token: JSON.parse(body).refreshToken, attemptKey });
    response.writeHead(text === undefined ? 401 : 200, {
      ...headers,
      "Content-Length": Buffer.byteLength(text ?? ""),
    });
    response.end(text);
  };
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      body += chunk;
    });
    request.on("end", () => void answer(request, response, body));
  });
  server.listen(0, "127.0.0.1", () => ready((server.address() as { port: number }).port));
}

function listenWithHono(refresh: Refresh, ready: (port: number) => void): void {
  const headers = { "Content-Type": "application/json", "Cache-Control": "no-store" };
  const app = new Hono().post("/refresh", async (context) => {
    const { refreshToken: token } = await context.req.json();
    const text = await refresh({ token, attemptKey: context.req.header("idempotency-key") });
    return new Response(text ?? null, { status: text === undefined ? 401 : 200, headers });
  });
  serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => ready(port));
}

function fill(
  path: string,
  { count, refreshTokens }: { count: number; refreshTokens: ReturnType<typeof createRefreshTokens> },
): string[] {
  const database = openFile(path);
  database.exec(`
    CREATE TABLE sessions (
      id BLOB NOT NULL PRIMARY KEY, user_id BLOB NOT NULL, amr TEXT NOT NULL, authenticated_at INTEGER NOT NULL,
      last_used_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, generation INTEGER NOT NULL, digest BLOB NOT NULL,
      recent BLOB NOT NULL, revoked_at INTEGER
    ) WITHOUT ROWID`);
  const insert = database.prepare("INSERT INTO sessions VALUES (?, ?, 'pwd', ?, ?, ?, 0, ?, x'', NULL)");
  const now = Date.now();
  const userId = idToBytes(newId(now));
  database.exec("BEGIN");
  const tokens = Array.from({ length: count }, () => {
    const sessionId = idToBytes(newId(now));
    const secret = randomBytes(32);
    insert.run(sessionId, userId, now, now, now + 14 * 86_400_000, sha256(secret));
    return refreshTokens.encode({ keyId: 1, sessionId, generation: 0, secret });
  });
  database.exec("COMMIT");
  database.close();
  return tokens;
}
