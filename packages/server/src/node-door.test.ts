import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { after, before, test } from "node:test";
import { fetchHandler } from "./fetch-handler.ts";
import { limits } from "./primitives/limits.ts";
import { exchange, startTestServer, type TestServer, type Tokens } from "./test-server.ts";

let server: TestServer;
let tokens: Tokens;
/** The straight door alone: what it leaves is answered 418. */
let door: Server;
let doorPort: number;

before(async () => {
  server = await startTestServer();
  await server.addUser("alice");
  tokens = await server.login("alice");
  door = doorOf(server);
  doorPort = await portOf(door);
});
after(async () => {
  door.close();
  await server.close();
});

function doorOf({ app }: TestServer): Server {
  return createServer({ requireHostHeader: false }, (incoming, outgoing) => {
    if (app.nodeDoor(incoming, outgoing) === undefined)
      outgoing.writeHead(418, { Connection: "close" }).end();
  });
}

async function portOf(listening: Server): Promise<number> {
  listening.listen(0, "127.0.0.1");
  await once(listening, "listening");
  return (listening.address() as AddressInfo).port;
}

interface Said {
  readonly method?: string;
  readonly path: string;
  readonly fields?: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
  /** Left out of what is sent. */
  readonly without?: readonly string[];
}

function say({ method = "GET", path, fields = [], body, without = [] }: Said, port = doorPort) {
  const all = [
    ["Host", "127.0.0.1"],
    ["Connection", "close"],
    ...fields,
    ...(body === undefined ? [] : [["Content-Length", String(Buffer.byteLength(body))]]),
  ].filter(([name]) => !without.includes(name as string));
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return exchange(port, `${method} ${path} HTTP/1.1\r\n${lines}\r\n${body ?? ""}`);
}

const json = ["Content-Type", "application/json"] as const;
const bearer = () => ["Authorization", `Bearer ${tokens.accessToken}`] as const;
const fixed = () =>
  server.app.endpoints.filter(({ path, streams }) => !path.includes(":") && streams !== true);

test("both doors give one answer to one request, at every fixed address", async () => {
  const other = fetchHandler(server.app);
  const kinds: readonly Omit<Said, "path">[] = [
    {},
    { fields: [["Authorization", "Bearer nonsense"]] },
    { fields: [json], body: "{" },
    { fields: [json], body: '{"a":1,"a":2}' },
    { fields: [json], body: "\uFEFF{}" },
    { fields: [["Content-Type", "text/plain"]], body: "x" },
    { fields: [["Content-Type", "application/x-www-form-urlencoded"]], body: "grant_type=nonsense&x=%ff" },
    { fields: [["Content-Type", "application/x-www-form-urlencoded"]], body: "grant_type=password" },
    { fields: [json, ["Content-Encoding", "gzip"]], body: "{}" },
    { fields: [["DPoP", "nonsense"], json], body: '{"refreshToken":"x"}' },
    {
      fields: [["Idempotency-Key", "a"], ["Idempotency-Key", "b"], json],
      body: '{"refreshToken":"x"}',
    },
    {
      fields: [
        ["Authorization", "Bearer a"],
        ["Authorization", "Bearer b"],
      ],
    },
  ];
  let compared = 0;
  for (const { method, path, access } of fixed()) {
    for (const kind of kinds) {
      if (method === "GET" && kind.body !== undefined) continue;
      if (path === "/metrics" || path === "/register") continue;
      await server.forgetLimits();
      const straight = await say({ ...kind, method, path });
      await server.forgetLimits();
      const headers = new Headers();
      for (const [name, value] of kind.fields ?? []) headers.append(name, value);
      if (kind.body !== undefined) headers.set("content-length", String(Buffer.byteLength(kind.body)));
      const request = new Request(`${server.issuer}${path}`, { method, headers, body: kind.body ?? null });
      const response = await other(request, { remoteAddress: "127.0.0.1" });
      const what = `${method} ${path} ${JSON.stringify(kind)} (${access})`;
      assert.equal(straight.status, response.status, what);
      assert.equal(steady(straight.text), steady(await response.text()), what);
      assert.deepEqual(told(straight.headers), told(response.headers), what);
      compared++;
    }
  }
  assert.ok(compared > 200, String(compared));
});

/** Without what is another one at each answer. */
const steady = (text: string) => text.replaceAll(/[\w-]{16,}|\d{5,}|T[\d:.]+Z/g, "*");

/** Without what the connection adds. */
function told(headers: Headers): Record<string, string> {
  const own = ["date", "connection", "keep-alive", "content-length", "transfer-encoding"];
  return Object.fromEntries(
    [...headers].filter(([name]) => !own.includes(name)).map(([name, value]) => [name, steady(value)]),
  );
}

test("a good request comes through the straight door: a refresh, and who one is", async () => {
  const { refreshToken } = await server.login("alice");
  const refreshed = await say({
    method: "POST",
    path: "/refresh",
    fields: [json],
    body: JSON.stringify({ refreshToken }),
  });
  assert.equal(refreshed.status, 200, refreshed.text);
  assert.equal(refreshed.headers.get("content-length"), String(Buffer.byteLength(refreshed.text)));
  const me = await say({ path: "/me", fields: [bearer()] });
  assert.deepEqual([me.status, me.json.username], [200, "alice"]);
});

test("text beyond ASCII leaves as UTF-8, with its length in bytes", async () => {
  await server.addUser("žofie");
  const { accessToken } = await server.login("žofie");
  const me = await say({ path: "/me", fields: [["Authorization", `Bearer ${accessToken}`]] });
  assert.equal(me.json.username, "žofie");
  assert.equal(me.headers.get("content-length"), String(Buffer.byteLength(me.text)));
});

test("what is not plain is left to the other door", async () => {
  const rest: readonly Said[] = [
    { path: "/healthz?x=1" },
    { path: "/sessions/01a2091b-7f0f-7d30-bc99-dae8c5045318", method: "DELETE" },
    { path: "/revocations" },
    { path: "/healthz", method: "HEAD" },
    { path: "/healthz", method: "OPTIONS" },
    { path: "/login" },
    { path: "/nothing" },
    { path: "http://127.0.0.1/healthz" },
    { path: "/healthz", fields: [["Accept", "text/html,*/*"]] },
    { path: "/healthz", without: ["Host"] },
    { path: "/healthz", without: ["Host"], fields: [["Host", "a b"]] },
    {
      path: "/refresh",
      method: "POST",
      fields: [json, ["Transfer-Encoding", "chunked"]],
      without: ["Content-Length"],
      body: "2\r\n{}\r\n0\r\n\r\n",
    },
    { path: "/refresh", method: "POST", fields: [json], body: " ".repeat(limits.bodyBytesMax + 1) },
  ];
  for (const said of rest) assert.equal((await say(said)).status, 418, JSON.stringify(said).slice(0, 200));
});

test("Fetch §3.2: with allowedOrigins, what comes from a page of any origin is left to the other door, which says CORS", async () => {
  const open = await startTestServer({ settings: { allowedOrigins: ["http://localhost:4001"] } });
  const straight = doorOf(open);
  const port = await portOf(straight);
  try {
    const path = "/healthz";
    assert.equal((await say({ path, fields: [["Origin", "http://localhost:4001"]] }, port)).status, 418);
    assert.equal((await say({ path }, port)).status, 200);
    const whole = await open.call(path, { headers: { origin: "http://localhost:4001" } });
    assert.equal(whole.headers.get("access-control-allow-origin"), "http://localhost:4001");
  } finally {
    straight.close();
    await open.close();
  }
});

test("an issuer with a path is served with it and without it, as by the other door", async () => {
  const mounted = await startTestServer({ settings: { issuer: "http://localhost:4000/auth" } });
  const straight = doorOf(mounted);
  const port = await portOf(straight);
  try {
    for (const path of ["/auth/healthz", "/healthz"])
      assert.equal((await say({ path }, port)).status, 200, path);
    assert.equal((await say({ path: "/auth/auth/healthz" }, port)).status, 418);
  } finally {
    straight.close();
    await mounted.close();
  }
});

test("a caller who hangs up in the middle of a body leaves nothing under way", async () => {
  const quitter = await startTestServer();
  const before = performance.now();
  try {
    for (const sent of ['{"username":', ""]) {
      const socket = connect(quitter.port, "127.0.0.1");
      await once(socket, "connect");
      socket.write(
        `POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n${sent}`,
      );
      await new Promise((resolve) => setTimeout(resolve, 50));
      socket.destroy();
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  } finally {
    await quitter.close();
  }
  // Requests under way are waited for, ten seconds at the most.
  assert.ok(performance.now() - before < 8000);
});
