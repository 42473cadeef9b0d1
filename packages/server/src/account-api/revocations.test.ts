import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DatabaseUnavailable } from "../storage/database.ts";
import { assertRefusal, basic, startTestServer, type TestServer } from "../test-server.ts";

let server: TestServer;
let resource: Awaited<ReturnType<TestServer["addResource"]>>;

before(async () => {
  server = await startTestServer();
  await server.addUser("alice");
  resource = await server.addResource("Photos");
});
after(() => server.close());

interface Event {
  readonly event: string;
  readonly id: string;
  readonly data: { readonly seq: number; readonly entries?: unknown[]; readonly session?: string };
}

/** Follows a feed; `next` gives its events in order. */
async function follow(from: TestServer, headers: Record<string, string> = {}) {
  const stopping = new AbortController();
  const response = await fetch(`${from.url}/revocations`, {
    headers: { authorization: resource.authorization, accept: "text/event-stream", ...headers },
    signal: stopping.signal,
  });
  assert.equal(response.status, 200);
  assert.ok(response.body);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";

  async function nextBlock(): Promise<string | undefined> {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end >= 0) {
        const block = text.slice(0, end);
        text = text.slice(end + 2);
        return block;
      }
      const { done, value } = await reader.read();
      if (done) return undefined;
      text += value;
    }
  }

  async function next(): Promise<Event> {
    for (;;) {
      const block = await nextBlock();
      assert.ok(block !== undefined, "the feed ended");
      const values = (name: string) =>
        block
          .split("\n")
          .flatMap((line) => (line.startsWith(`${name}: `) ? [line.slice(name.length + 2)] : []));
      const [[event], [id], data] = [values("event"), values("id"), values("data").join("\n")];
      if (event !== undefined) return { event, id: String(id), data: JSON.parse(data) };
    }
  }

  return { headers: response.headers, next, nextBlock, stop: () => stopping.abort() };
}

const endSession = async (at: TestServer) => {
  const { accessToken, sessionId } = await server.login("alice");
  const reply = await at.call("/logout", { json: {}, token: accessToken });
  assert.equal(reply.status, 204);
  return sessionId;
};

const get = (headers: Record<string, string>) =>
  server.call("/revocations", { headers: { authorization: resource.authorization, ...headers } });

test("server-sent events: a snapshot first, then each revocation, with its number as the id", async () => {
  const before = await endSession(server);
  const feed = await follow(server);
  try {
    assert.equal(feed.headers.get("content-type"), "text/event-stream; charset=utf-8");
    assert.equal(feed.headers.get("cache-control"), "no-store");
    assert.equal(feed.headers.get("x-content-type-options"), "nosniff");
    const snapshot = await feed.next();
    assert.equal(snapshot.event, "snapshot");
    assert.equal(snapshot.id, String(snapshot.data.seq));
    const known = (snapshot.data.entries as { session: string }[]).map(({ session }) => session);
    assert.ok(known.includes(before));
    const after = await endSession(server);
    const { event, id, data } = await feed.next();
    assert.equal(event, "revocation");
    assert.deepEqual(Object.keys(data).sort(), ["before", "seq", "session", "until"]);
    assert.equal(data.session, after);
    assert.equal(id, String(data.seq));
    assert.equal(data.seq, snapshot.data.seq + 1);
  } finally {
    feed.stop();
  }
});

test("Last-Event-ID: a reader who comes back gets what it missed, once and in order, and no snapshot", async () => {
  const feed = await follow(server);
  const { data } = await feed.next();
  feed.stop();
  const missed = [await endSession(server), await endSession(server), await endSession(server)];
  const again = await follow(server, { "last-event-id": String(data.seq) });
  try {
    const events = [await again.next(), await again.next(), await again.next()];
    assert.deepEqual(
      events.map((event) => [event.event, event.data.session]),
      missed.map((session) => ["revocation", session]),
    );
    const live = await endSession(server);
    assert.equal((await again.next()).data.session, live);
  } finally {
    again.stop();
  }
});

test("Last-Event-ID: a number that was never given out, as after a restored copy, gets a snapshot", async () => {
  for (const position of ["999999999", "999999999999999"]) {
    const feed = await follow(server, { "last-event-id": position });
    assert.equal((await feed.next()).event, "snapshot");
    feed.stop();
  }
});

test("Last-Event-ID: what is no number is refused", async () => {
  for (const position of ["-1", "1.5", "x", "1e3", "0x1", "1, 2", "9".repeat(16)]) {
    for (const accept of ["text/event-stream", "application/json"]) {
      const reply = await get({ accept, "last-event-id": position });
      assertRefusal(reply, { status: 400, error: "invalid_request" });
    }
  }
});

test("without server-sent events: one JSON snapshot with the last number, or what came after a number", async () => {
  const session = await endSession(server);
  const whole = await get({});
  assert.equal(whole.status, 200);
  assert.equal(whole.headers.get("content-type"), "application/json");
  assert.deepEqual(Object.keys(whole.json), ["seq", "entries"]);
  const entries = whole.json.entries as { seq: number; session: string }[];
  assert.equal(entries.at(-1)?.session, session);
  const seq = Number(whole.json.seq);
  const later = await get({ "last-event-id": String(seq - 1) });
  assert.deepEqual(later.json, { seq, entries: [entries.at(-1)] });
  assert.deepEqual((await get({ "last-event-id": String(seq) })).json, { seq, entries: [] });
  assert.deepEqual((await get({ "last-event-id": String(seq + 1) })).json, whole.json);
});

test("RFC 9110 §12.5.1: Accept decides; what is not wanted is not sent", async () => {
  for (const accept of [
    "*/*",
    "application/json",
    "application/*",
    "text/html, */*;q=0.1",
    "APPLICATION/JSON",
  ]) {
    assert.equal((await get({ accept })).headers.get("content-type"), "application/json", accept);
  }
  const none = [
    "text/html",
    "image/*",
    "application/xml",
    "application/json;q=0",
    "text/event-stream;q=0.0",
    "",
  ];
  for (const accept of none) {
    const reply = await get({ accept });
    // An empty Accept is none at all.
    if (accept === "") assert.equal(reply.status, 200);
    else assertRefusal(reply, { status: 406, error: "not_acceptable" });
  }
});

test("RFC 6749 §5.2: whoever is no resource is 401 with a Basic challenge", async () => {
  const { accessToken, refreshToken, idToken } = await server.login("alice");
  const { id, secret } = resource;
  server.secrets.add(basic(id, "wrong"));
  const wrong = [
    undefined,
    "",
    "Basic",
    "Basic ",
    "Basic !!!",
    `Basic ${Buffer.from(id).toString("base64")}`,
    basic(id, ""),
    basic(id, `${secret}x`),
    basic(id, secret.slice(0, -1)),
    basic(id, secret.toUpperCase()),
    basic(`${id}x`, secret),
    basic("", secret),
    basic(id, `${secret}\0`),
    basic("first-party", secret),
    basic("alice", "correct horse battery"),
    `Bearer ${accessToken}`,
    `Bearer ${refreshToken}`,
    `Bearer ${secret}`,
    basic(id, accessToken),
    basic(id, idToken),
    `${basic(id, secret)}, ${basic(id, secret)}`,
    `Basic ${"A".repeat(5000)}`,
  ];
  for (const authorization of wrong) {
    for (const accept of ["text/event-stream", "application/json"]) {
      const headers = { accept, ...(authorization !== undefined && { authorization }) };
      const reply = await server.call("/revocations", { headers });
      assertRefusal(reply, { status: 401, error: "invalid_client" });
      assert.match(reply.headers.get("www-authenticate") ?? "", /^Basic realm="keyturn"/);
    }
  }
});

test("a resource's secret opens the feed and nothing else", async () => {
  const { id, secret } = resource;
  for (const authorization of [resource.authorization, `Bearer ${secret}`, `Bearer ${id}:${secret}`]) {
    const reply = await server.call("/me", { headers: { authorization } });
    assertRefusal(reply, { status: 401, error: "invalid_token" });
  }
});

test("a resource that was removed, or whose secret was changed, is refused", async () => {
  const other = await server.addResource("Other");
  const read = () => server.call("/revocations", { headers: { authorization: other.authorization } });
  assert.equal((await read()).status, 200);
  const changed = await server.app.clients.newSecret(other.id, { actor: "operator" });
  assert.ok(changed.outcome === "renewed");
  server.secrets.add(changed.secret);
  assertRefusal(await read(), { status: 401, error: "invalid_client" });
  await server.app.clients.remove(other.id, { actor: "operator" });
  const headers = { authorization: basic(other.id, changed.secret) };
  assertRefusal(await server.call("/revocations", { headers }), { status: 401, error: "invalid_client" });
});

test("a quiet feed beats at least once in two seconds", async () => {
  const feed = await follow(server);
  await feed.next();
  const started = performance.now();
  assert.equal(await feed.nextBlock(), ": heartbeat");
  assert.equal(await feed.nextBlock(), ": heartbeat");
  assert.ok(performance.now() - started < 4000);
  feed.stop();
});

/** Readers of earlier tests are forgotten when the server hears that they hung up. */
async function followersSettle(at: number): Promise<void> {
  const deadline = performance.now() + 3000;
  while (server.app.revocations.followers() !== at && performance.now() < deadline) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(server.app.revocations.followers(), at);
}

/** The guard in the server's own process. */
const OWN_FOLLOWERS = 1;

test("HEAD opens no stream", async () => {
  await followersSettle(OWN_FOLLOWERS);
  const headers = { authorization: resource.authorization, accept: "text/event-stream" };
  const reply = await server.call("/revocations", { method: "HEAD", headers });
  assert.equal(reply.status, 200);
  assert.equal(server.app.revocations.followers(), OWN_FOLLOWERS);
});

test("DESIGN: with two nodes on one database, a revocation at one reaches a reader at the other within a second", async () => {
  const other = await startTestServer({ beside: server });
  try {
    const feed = await follow(other);
    await feed.next();
    const started = performance.now();
    const session = await endSession(server);
    const { data } = await feed.next();
    assert.equal(data.session, session);
    assert.ok(performance.now() - started < 1000, `${performance.now() - started} ms`);
    feed.stop();
  } finally {
    await other.close();
  }
});

test("a reader who hangs up is forgotten", async () => {
  await followersSettle(OWN_FOLLOWERS);
  const feeds = await Promise.all(Array.from({ length: 20 }, () => follow(server)));
  assert.equal(server.app.revocations.followers(), OWN_FOLLOWERS + 20);
  for (const feed of feeds) feed.stop();
  await followersSettle(OWN_FOLLOWERS);
});

test("a reader who takes nothing is cut off, and what waits for it is bounded", async () => {
  const { revocations, endpoints } = server.app;
  const before = revocations.followers();
  const endpoint = endpoints.find(({ path }) => path === "/revocations");
  assert.ok(endpoint);
  const { signal } = new AbortController();
  const header = (name: string) => (name === "accept" ? "text/event-stream" : undefined);
  const { stream } = await endpoint.handle({ header, signal: () => signal } as never);
  assert.ok(stream);
  assert.equal(revocations.followers(), before + 1);
  let acts = 0;
  for (; revocations.followers() > before; acts++) {
    assert.ok(acts < 1200, "it is still followed after 1200 acts");
    await revocations.revokeWide({ client: "somebody" });
  }
  let waited = 0;
  for await (const _ of stream) waited++;
  assert.ok(waited < 1100, `${waited} events waited`);
});

test("a feed that cannot be read does not beat: a guard must not take silence for news", async () => {
  const { database } = server.app;
  const { all, one } = database;
  const feed = await follow(server);
  await feed.next();
  const gone = async () => {
    throw new DatabaseUnavailable("gone, for a test");
  };
  try {
    Object.assign(database, { all: gone, one: gone });
    // Beats that were on their way before may still come; then the stream falls silent, or ends.
    const deadline = performance.now() + 6000;
    let beats = 0;
    for (;;) {
      const beat = await Promise.race([
        feed.nextBlock(),
        new Promise<"silent">((resolve) => setTimeout(resolve, 1600, "silent")),
      ]);
      if (beat === "silent" || beat === undefined) break;
      assert.ok(++beats < 4 && performance.now() < deadline, "it goes on beating without reading");
    }
  } finally {
    Object.assign(database, { all, one });
    feed.stop();
  }
});

test("a stream that cannot be brought up to date ends, so that its reader comes again", async () => {
  const { database } = server.app;
  const { all, one } = database;
  let reads = 0;
  try {
    // The credentials are found; what the reader has missed is not.
    const failing = <A extends unknown[], R>(read: (...parts: A) => Promise<R>) => {
      return async (...parts: A): Promise<R> => {
        const { sql } = parts[0] as { sql: string };
        if (/revocation/.test(sql) && ++reads > 0) throw new DatabaseUnavailable("gone, for a test");
        return read(...parts);
      };
    };
    Object.assign(database, { all: failing(all), one: failing(one) });
    const feed = await follow(server, { "last-event-id": "1" });
    let blocks = 0;
    while ((await feed.nextBlock()) !== undefined) assert.ok(++blocks < 3, "it goes on without news");
    assert.ok(reads > 0);
  } finally {
    Object.assign(database, { all, one });
  }
});

test("stopping the server ends its streams", async () => {
  const other = await startTestServer({ beside: server });
  const feed = await follow(other);
  await feed.next();
  const started = performance.now();
  const stopped = other.stop(5);
  while ((await feed.nextBlock()) !== undefined);
  await stopped;
  assert.ok(performance.now() - started < 3000, "it waited for the streams");
  await other.close();
});
