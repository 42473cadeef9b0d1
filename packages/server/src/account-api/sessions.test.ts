import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertRefusal, startTestServer, type TestServer } from "../test-server.ts";

let server: TestServer;
interface Shown {
  readonly id: string;
  readonly current: boolean;
}

before(async () => {
  server = await startTestServer();
  for (const name of ["alice", "bob", "many"]) await server.addUser(name);
});
after(() => server.close());

async function list(token: string, query = ""): Promise<{ sessions: Shown[]; next: string | undefined }> {
  const reply = await server.call(`/sessions${query}`, { token });
  assert.equal(reply.status, 200, reply.text);
  return reply.json as unknown as { sessions: Shown[]; next: string | undefined };
}

const end = (id: string, token: string) => server.call(`/sessions/${id}`, { method: "DELETE", token });

test("the list shows the user's living sessions, the newest first, with exactly the promised members", async () => {
  const phone = await server.login("alice", { device: "Phone" });
  const laptop = await server.login("alice");
  await server.login("bob");
  const { sessions, next } = await list(phone.accessToken);
  assert.equal(next, undefined);
  assert.deepEqual(
    sessions.map(({ id, current }) => [id, current]),
    [
      [laptop.sessionId, false],
      [phone.sessionId, true],
    ],
  );
  const [one, other] = sessions as unknown as [Record<string, unknown>, Record<string, unknown>];
  const always = [
    "client",
    "createdAt",
    "current",
    "expiresAt",
    "id",
    "ip",
    "kind",
    "lastUsedAt",
    "userAgent",
  ];
  assert.deepEqual(Object.keys(one).sort(), always);
  assert.deepEqual(Object.keys(other).sort(), [...always, "device"].sort());
  assert.equal(other.device, "Phone");
  assert.equal(other.client, "first-party");
  assert.equal(other.ip, "127.0.0.1");
  const ends = Date.parse(String(other.expiresAt)) - Date.parse(String(other.createdAt));
  assert.equal(ends, 14 * 86_400_000);
});

test("more than a hundred sessions come by pages, each once", async () => {
  const user = await server.app.users.find("many");
  assert.ok(user);
  const started: string[] = [];
  for (let i = 0; i < 105; i++) {
    const session = {
      userId: user.id,
      clientId: "first-party",
      kind: "app",
      scope: "",
      amr: ["pwd"],
    } as const;
    const begun = await server.app.sessions.start(session);
    if (begun !== undefined) started.push(begun.session.id);
  }
  const { accessToken, sessionId } = await server.login("many");
  const first = await list(accessToken);
  assert.equal(first.sessions.length, 100);
  const second = await list(accessToken, `?before=${first.next}`);
  assert.equal(second.next, undefined);
  const seen = [...first.sessions, ...second.sessions].map(({ id }) => id);
  assert.deepEqual(seen.sort(), [...started, sessionId].sort());
});

test("before takes an id, once; anything else is refused", async () => {
  const { accessToken: token } = await server.login("alice");
  const wrong = [
    "?before=",
    "?before=x",
    "?before=%00",
    "?before=1%20OR%201=1",
    "?before=a&before=b",
    "?x=1&x=2",
  ];
  for (const query of wrong) {
    const reply = await server.call(`/sessions${query}`, { token });
    assertRefusal(reply, { status: 400, error: "invalid_request" });
  }
  const { sessionId } = await server.login("alice");
  const twice = await server.call(`/sessions?before=${sessionId}&before=${sessionId}`, { token });
  assertRefusal(twice, { status: 400, error: "invalid_request" });
});

test("ending one session: 204, and no other is touched", async () => {
  const [here, there, third] = [
    await server.login("alice"),
    await server.login("alice"),
    await server.login("alice"),
  ];
  const reply = await end(there.sessionId, here.accessToken);
  assert.equal(reply.status, 204);
  assert.equal(reply.text, "");
  assertRefusal(await server.call("/me", { token: there.accessToken }), {
    status: 401,
    error: "invalid_token",
  });
  assert.equal((await server.call("/me", { token: third.accessToken })).status, 200);
  assert.equal((await end(here.sessionId, here.accessToken)).status, 204, "one's own too");
  assertRefusal(await server.call("/me", { token: here.accessToken }), {
    status: 401,
    error: "invalid_token",
  });
});

test("somebody else's session is answered like none at all, to the byte, and goes on", async () => {
  const [alice, bob] = [await server.login("alice"), await server.login("bob")];
  const before = await server.rows();
  const unknown = "01a2091b-7f0f-7d30-bc99-dae8c5045318";
  const ids = [bob.sessionId, unknown, "x", "%00", "..%2f..", "%E0%A4%A", bob.sessionId.toUpperCase()];
  const answers = new Set<string>();
  for (const id of ids) {
    const reply = await end(id, alice.accessToken);
    assertRefusal(reply, { status: 404, error: "unknown_session" });
    answers.add(reply.text);
  }
  assert.equal(answers.size, 1);
  assert.equal(await server.rows(), before);
  assert.equal((await server.call("/me", { token: bob.accessToken })).status, 200);
});

test("ending all others says how many, and keeps the one that asks", async () => {
  await server.addUser("carol");
  const here = await server.login("carol");
  const others = [await server.login("carol"), await server.login("carol")];
  const bob = await server.login("bob");
  const all = () => server.call("/sessions", { method: "DELETE", token: here.accessToken });
  assert.deepEqual((await all()).json, { ended: 2 });
  assert.deepEqual((await all()).json, { ended: 0 });
  for (const { refreshToken } of others) {
    const reply = await server.call("/refresh", { json: { refreshToken } });
    assertRefusal(reply, { status: 401, error: "invalid_refresh_token", reason: "revoked" });
  }
  assert.deepEqual(
    (await list(here.accessToken)).sessions.map(({ id }) => id),
    [here.sessionId],
  );
  assert.equal((await server.call("/me", { token: bob.accessToken })).status, 200);
});
