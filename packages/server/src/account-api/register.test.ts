import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertRefusal, startTestServer, type TestServer } from "../test-server.ts";

let server: TestServer;
const password = "a long enough one";
let caller = 0;
const register = (json: unknown, address = `198.51.100.${++caller}`) =>
  server.call("/register", { json, headers: { "x-forwarded-for": address } });

before(async () => {
  server = await startTestServer({ settings: { trustedProxies: 1 } });
  await server.addUser("alice", { email: "alice@example.com" });
});
after(() => server.close());

test("an account is made, 201, and signs in; it has no roles, whatever the body says", async () => {
  const body = { username: "Bob", password, email: "Bob@example.com", name: "Bob" };
  const reply = await register({ ...body, roles: ["admin"], emailVerified: true, id: "x", __proto__: null });
  assert.equal(reply.status, 201);
  assert.equal(reply.headers.get("cache-control"), "no-store");
  const { id, createdAt, ...user } = reply.json.user as Record<string, unknown>;
  assert.match(String(id), /^[0-9a-f-]{36}$/);
  assert.ok(createdAt);
  assert.deepEqual(user, {
    username: "Bob",
    email: "Bob@example.com",
    emailVerified: false,
    name: "Bob",
    roles: [],
  });
  assert.deepEqual(Object.keys(reply.json), ["user"]);
  const tokens = await server.login("bob", { password });
  assert.equal(tokens.user.id, id);
});

test("DESIGN §9: a taken username and a taken address get one answer, to the byte, and change nothing", async () => {
  const before = await server.rows();
  const answers = new Set<string>();
  const taken = [
    { username: "alice", password },
    { username: "ALICE", password },
    { username: "ａｌｉｃｅ", password },
    { username: "carol", password, email: "alice@example.com" },
    { username: "carol", password, email: "Alice@EXAMPLE.com" },
    { username: "alice", password, email: "alice@example.com" },
  ];
  for (const json of taken) {
    const reply = await register(json);
    assertRefusal(reply, { status: 409, error: "registration_refused" });
    answers.add(reply.text);
  }
  assert.equal(answers.size, 1);
  assert.equal(await server.rows(), before);
});

test("NIST SP 800-63B §3.1.1.2: a weak password is 422 with a sentence that says what to choose", async () => {
  const before = await server.rows();
  const weak = ["short", "1234567", "é".repeat(600), "username1", "\ud800 lone surrogate"];
  for (const one of weak) {
    const reply = await register({ username: "username1", password: one });
    assertRefusal(reply, { status: 422, error: "weak_password" });
    assert.ok(!reply.text.includes(one));
  }
  assert.equal(await server.rows(), before);
});

test("names and addresses that cannot be are 400, name the field, and are not repeated in the answer", async () => {
  const before = await server.rows();
  const wrong: [string, Record<string, unknown>][] = [
    ["username", { username: "with space", password }],
    ["username", { username: "nul\0", password }],
    ["username", { username: "\ud800", password }],
    ["username", { username: "alice@example.net", password }],
    ["username", { username: "x".repeat(65), password }],
    ["username", { username: "01a2091b-7f0f-7d30-bc99-dae8c5045318", password }],
    ["email", { username: "dora", password, email: "no address" }],
    ["email", { username: "dora", password, email: "a\0b@example.com" }],
    ["email", { username: "dora", password, email: "\udfff@example.com" }],
    ["email", { username: "dora", password, email: `${"x".repeat(250)}@example.com` }],
    ["name", { username: "dora", password, name: "line\nbreak" }],
    ["name", { username: "dora", password, name: "\ud800" }],
    ["name", { username: "dora", password, name: "x".repeat(201) }],
    ["name", { username: "dora", password, name: "\u202egnp.exe" }],
    ["name", { username: "dora", password, name: "" }],
  ];
  for (const [field, json] of wrong) {
    const reply = await register(json);
    assertRefusal(reply, { status: 400, error: "invalid_request" });
    assert.match(String(reply.json.error_description), new RegExp(`^${field}: .*\\.$`));
    const value = String(json[field]);
    if (value.length > 4) assert.ok(!reply.text.includes(value));
  }
  assert.equal(await server.rows(), before);
});

test("RFC 6585 §4: one address makes twenty accounts at once, then waits", async () => {
  const address = "203.0.113.7";
  const replies = await Promise.all(
    Array.from({ length: 30 }, (_, i) => register({ username: `flood${i}`, password }, address)),
  );
  const made = replies.filter(({ status }) => status === 201);
  assert.equal(made.length, 20);
  for (const reply of replies.filter(({ status }) => status !== 201)) {
    assertRefusal(reply, { status: 429, error: "too_many_attempts" });
    assert.match(reply.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
  }
});

test("of many who ask for one name at once, one gets it", async () => {
  const replies = await Promise.all(
    Array.from({ length: 8 }, () => register({ username: "wanted", password })),
  );
  assert.deepEqual(replies.map(({ status }) => status).sort(), [201, ...Array(7).fill(409)]);
});

test("switched off, it is 403 for every well-formed registration", async () => {
  const closed = await startTestServer({ settings: { registration: "off" } });
  try {
    const before = await closed.rows();
    const reply = await closed.call("/register", { json: { username: "bob", password } });
    assertRefusal(reply, { status: 403, error: "registration_closed" });
    assert.equal(await closed.rows(), before);
  } finally {
    await closed.close();
  }
});
