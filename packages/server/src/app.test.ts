import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import sql, { raw } from "sql-template-tag";
import type { Database } from "./storage/database.ts";
import { DatabaseUnavailable } from "./storage/database.ts";
import { testEngine } from "./storage/test-database.ts";
import { assertRefusal, type Reply, startTestServer, type TestServer, type Tokens } from "./test-server.ts";

/** A server whose database goes away while it serves. */
let server: TestServer;
let tokens: Tokens;
let authorization: string;

before(async () => {
  server = await startTestServer();
  await server.addUser("alice");
  tokens = await server.login("alice");
  ({ authorization } = await server.addResource("Reader"));
});
after(() => server.close());

const everything = (): Promise<Reply>[] => [
  server.call("/login", { json: { username: "alice", password: "correct horse battery" } }),
  server.call("/refresh", { json: { refreshToken: tokens.refreshToken } }),
  server.call("/logout", { json: {}, token: tokens.accessToken }),
  server.call("/logout", { json: { refreshToken: tokens.refreshToken } }),
  server.call("/register", { json: { username: "bob", password: "a long enough one" } }),
  server.call("/me", { token: tokens.accessToken }),
  server.call("/sessions", { token: tokens.accessToken }),
  server.call("/sessions", { method: "DELETE", token: tokens.accessToken }),
  server.call(`/sessions/${tokens.sessionId}`, { method: "DELETE", token: tokens.accessToken }),
  server.call("/revocations", { headers: { authorization } }),
  server.call("/revocations", { headers: { authorization, accept: "text/event-stream" } }),
  server.call("/readyz"),
];

/** Puts something else in the place of the database's methods; returns what takes that back. */
function replaceDatabase(by: (method: keyof Database) => unknown): () => void {
  const { database } = server.app;
  const original = { ...database };
  for (const method of ["all", "one", "each", "batch", "transaction"] as const) {
    Object.assign(database, { [method]: by(method) });
  }
  return () => void Object.assign(database, original);
}

async function withoutDatabase(
  work: () => Promise<void>,
  error: Error = new DatabaseUnavailable("gone, for a test"),
) {
  const restore = replaceDatabase(() => async () => {
    throw error;
  });
  try {
    await work();
  } finally {
    restore();
  }
}

test("while the database is gone every endpoint that needs it is 503 with Retry-After, and nobody is signed out", async () => {
  const before = await server.rows();
  await withoutDatabase(async () => {
    for (const reply of await Promise.all(everything())) {
      assertRefusal(reply, { status: 503, error: "unavailable" });
      assert.equal(reply.headers.get("retry-after"), "1");
    }
  });
  assert.equal(await server.rows(), before);
  assert.equal((await server.call("/me", { token: tokens.accessToken })).status, 200, "and it recovers");
});

test("while the database is gone what needs none goes on: health, keys, metadata, refused tokens", async () => {
  await withoutDatabase(async () => {
    for (const path of ["/", "/healthz", "/openapi.json", "/.well-known/jwks.json"]) {
      assert.equal((await server.call(path)).status, 200, path);
    }
    const malformed = await server.call("/refresh", { json: { refreshToken: "krt_x" } });
    assertRefusal(malformed, { status: 401, error: "invalid_refresh_token", reason: "malformed" });
    assertRefusal(await server.call("/me", { token: "x" }), { status: 401, error: "invalid_token" });
  });
});

test("a fault of ours is 500 in one general sentence; the log has the detail, and no client has it", async () => {
  const detail = "a detail that is nobody's business";
  const from = server.lines.length;
  await withoutDatabase(async () => {
    const reply = await server.call("/me", { token: tokens.accessToken });
    assertRefusal(reply, { status: 500, error: "server_error" });
    assert.ok(!reply.text.includes(detail));
  }, new Error(detail));
  const logged = server.lines.slice(from).filter((line) => line.includes(detail));
  assert.ok(logged.length > 0);
  assert.match(logged.join(), /GET \/me/);
});

test("a turn whose commit was lost on the way back is asked for again and gets the same successor", async () => {
  const { refreshToken } = await server.login("alice");
  const { database } = server.app;
  const { batch } = database;
  const restore = replaceDatabase((method) =>
    method === "batch"
      ? async (statements: Parameters<Database["batch"]>[0]) => {
          await batch(statements);
          throw new DatabaseUnavailable("the answer was lost, for a test");
        }
      : database[method],
  );
  let lost: Reply;
  try {
    lost = await server.call("/refresh", { json: { refreshToken } });
  } finally {
    restore();
  }
  assertRefusal(lost, { status: 503, error: "unavailable" });
  const [one, two] = await Promise.all([
    server.call("/refresh", { json: { refreshToken } }),
    server.call("/refresh", { json: { refreshToken } }),
  ]);
  assert.deepEqual([one.status, two.status], [200, 200]);
  assert.equal(one.json.refreshToken, two.json.refreshToken);
});

test("a database that drops every connection is asked again: at worst a 503, never a 500, and all recovers", async () => {
  const { refreshToken, accessToken } = await server.login("alice");
  const drop = await dropper();
  const replies: Reply[] = [];
  for (let round = 0; round < 5; round++) {
    const asking = Array.from({ length: 20 }, (_, i) =>
      i % 2 === 0
        ? server.call("/refresh", { json: { refreshToken } })
        : server.call("/me", { token: accessToken }),
    );
    await drop();
    replies.push(...(await Promise.all(asking)));
  }
  for (const reply of replies) {
    if (reply.status !== 200) assertRefusal(reply, { status: 503, error: "unavailable" });
  }
  // A connection that waits in the pool may have been dropped too: whoever meets it first is told to come again.
  let last = await server.call("/refresh", { json: { refreshToken } });
  for (let tries = 0; last.status === 503 && tries < 20; tries++) {
    last = await server.call("/refresh", { json: { refreshToken } });
  }
  const { json, status } = last;
  assert.equal(status, 200);
  const successors = new Set<unknown>(replies.flatMap((reply) => reply.json.refreshToken ?? []));
  assert.deepEqual([...successors.add(json.refreshToken)], [json.refreshToken]);
});

/** What takes the server's connections away, by force. */
async function dropper(): Promise<() => Promise<unknown>> {
  const { database } = server.app;
  if (testEngine === "sqlite")
    return () => (database as unknown as { killWriter(): Promise<void> }).killWriter();
  const connections = async () => {
    const asked = Array.from({ length: 30 }, () =>
      database.one<{ pid: number }>(sql`SELECT pg_backend_pid() AS pid`),
    );
    return [
      ...new Set(
        (await Promise.allSettled(asked)).map((one) => (one.status === "fulfilled" ? one.value?.pid : 0)),
      ),
    ];
  };
  await connections();
  return async () => {
    for (const pid of await connections()) {
      if (pid) await server.database.all(raw(`SELECT pg_terminate_backend(${Number(pid)})`));
    }
  };
}
