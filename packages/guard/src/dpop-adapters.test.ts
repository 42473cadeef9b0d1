import assert from "node:assert/strict";
import { createServer, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { after, test } from "node:test";
import { serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { protect as protectExpress } from "./express.ts";
import { guardPlugin, protect as protectFastify } from "./fastify.ts";
import { protect as protectFetch } from "./fetch.ts";
import { createGuard, type Guard } from "./guard.ts";
import { type GuardVariables, protect as protectHono } from "./hono.ts";
import { protect as protectNode } from "./node.ts";
import { nodeReader } from "./node-message.ts";
import { requestUrl } from "./request-url.ts";
import { inProcess, listen, mint, newKey } from "./test-issuer.ts";
import { sha256 } from "./test-proof.ts";

/** The same cases for every adapter: `/api/me` behind a mounted router, proofs by jose. */
const key = newKey("k1");
const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
const jwk = await exportJWK(publicKey);
const token = mint(key, { cnf: { jkt: await calculateJwkThumbprint(jwk) } });
const plain = mint(key);
const closers: (() => Promise<unknown> | unknown)[] = [];
after(async () => {
  for (const close of closers) await close();
});

type Change = { htm?: string; htu?: string; claims?: Record<string, unknown>; header?: { jwk: JWK } };

const makeProof = (url: string, { htm = "GET", htu = url, claims = {}, header }: Change = {}) =>
  new SignJWT({ jti: crypto.randomUUID(), htm, htu, ath: sha256(token), ...claims })
    .setProtectedHeader({ typ: "dpop+jwt", alg: "ES256", jwk, ...header })
    .setIssuedAt()
    .sign(privateKey);

async function startExpress(guard: Guard): Promise<string> {
  const app = express();
  const router = express.Router();
  router.all("/me", protectExpress(guard), (request, response) => {
    response.json({ key: request.identity?.keyThumbprint });
  });
  app.use("/api", router);
  const server = createServer(app);
  closers.push(() => server.close());
  return listen(server);
}

async function startFastify(guard: Guard): Promise<string> {
  const app = fastify({ rewriteUrl: ({ url = "" }) => url.replace("/api", "/inner") });
  app.register(
    (scope, _options, done) => {
      scope.register(guardPlugin, { guard });
      scope.all("/me", async (request) => ({ key: request.identity?.keyThumbprint }));
      done();
    },
    { prefix: "/inner" },
  );
  closers.push(() => app.close());
  return app.listen({ port: 0, host: "127.0.0.1" });
}

function startWith(fetchHandler: (request: Request) => Response | Promise<Response>): Promise<string> {
  return new Promise((resolve) => {
    const server = serve({ fetch: fetchHandler, port: 0, hostname: "127.0.0.1" }, ({ port }) =>
      resolve(`http://127.0.0.1:${port}`),
    );
    closers.push(() => server.close());
  });
}

function startHono(guard: Guard): Promise<string> {
  const inner = new Hono<{ Variables: GuardVariables }>();
  inner.all("/me", protectHono(guard), (c) => c.json({ key: c.get("identity").keyThumbprint }));
  return startWith(new Hono().route("/api", inner).fetch);
}

async function startNode(guard: Guard): Promise<string> {
  const server = createServer(
    protectNode(guard, (_request, response, { identity }) =>
      response.end(JSON.stringify({ key: identity.keyThumbprint })),
    ),
  );
  closers.push(() => server.close());
  return listen(server);
}

const startFetch = (guard: Guard) =>
  startWith(protectFetch(guard, (_request, { identity }) => Response.json({ key: identity.keyThumbprint })));

type Answer = { readonly status: number; readonly challenge: string; readonly body: Record<string, unknown> };

async function ask(url: string, headers: Record<string, string>, method = "GET"): Promise<Answer> {
  const response = await fetch(url, { method, headers });
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, challenge: response.headers.get("www-authenticate") ?? "", body };
}

/** What fetch cannot send: repeated headers, a Host of one's own, a request line as it stands. */
function askRaw(url: string, target: string, headers: Record<string, string | string[]>): Promise<number> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { hostname, port, path: target, setHost: !("Host" in headers), headers },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    request.on("error", reject).end();
  });
}

const adapters = {
  express: startExpress,
  fastify: startFastify,
  hono: startHono,
  node: startNode,
  fetch: startFetch,
};

for (const [name, start] of Object.entries(adapters)) {
  test(`${name}: RFC 9449 §7.1: a bound token passes with a proof by jose for the URL that the client used`, async () => {
    const url = `${await start(createGuard(inProcess([key])))}/api/me`;
    const good = await ask(`${url}?page=2`, { authorization: `DPoP ${token}`, dpop: await makeProof(url) });
    assert.deepEqual([good.status, good.body.key], [200, await calculateJwkThumbprint(jwk)]);
    for (const scheme of ["dpop ", "DPOP   "]) {
      const headers = { authorization: scheme + token, dpop: await makeProof(url, { htm: "POST" }) };
      assert.equal((await ask(url, headers, "POST")).status, 200);
    }
  });

  test(`${name}: RFC 9449 §4.3: refuses proofs for another URL or method, two proofs, none, and one that was used`, async () => {
    const url = `${await start(createGuard(inProcess([key])))}/api/me`;
    const authorization = `DPoP ${token}`;
    const root = url.slice(0, -"/api/me".length);
    for (const htu of [
      `${root}/me`,
      `${root}/inner/me`,
      `${url}/`,
      url.replace("http:", "https:"),
      `${root}/api/Me`,
    ]) {
      const { status, challenge } = await ask(url, { authorization, dpop: await makeProof(url, { htu }) });
      assert.equal(status, 401, htu);
      assert.match(challenge, /^DPoP algs="ES256 EdDSA Ed25519", error="invalid_dpop_proof", .*, Bearer$/);
    }
    assert.equal((await ask(url, { authorization, dpop: await makeProof(url) }, "POST")).status, 401);
    const none = await ask(url, { authorization });
    assert.deepEqual([none.status, none.body.error], [401, "invalid_dpop_proof"]);
    const [one, two] = [await makeProof(url), await makeProof(url)];
    assert.equal(await askRaw(url, "/api/me", { Authorization: authorization, DPoP: [one, two] }), 401);
    assert.equal(await askRaw(url, "/api/me", { Authorization: authorization, DPoP: [one, one] }), 401);
    assert.equal((await ask(url, { authorization, dpop: one })).status, 200);
    assert.equal((await ask(url, { authorization, dpop: one })).status, 401);
  });

  test(`${name}: RFC 9449 §7.2: a bound token is no Bearer token, and one that is not bound no DPoP token`, async () => {
    const url = `${await start(createGuard(inProcess([key])))}/api/me`;
    const bearer = await ask(url, { authorization: `Bearer ${token}`, dpop: await makeProof(url) });
    assert.deepEqual([bearer.status, bearer.body.error], [401, "invalid_token"]);
    assert.match(bearer.challenge, /^DPoP algs=/);
    const dpop = await makeProof(url, { claims: { ath: sha256(plain) } });
    const unbound = await ask(url, { authorization: `DPoP ${plain}`, dpop });
    assert.deepEqual([unbound.status, unbound.body.error], [401, "invalid_token"]);
    assert.equal((await ask(url, { authorization: `Bearer ${plain}` })).status, 200);
  });

  test(`${name}: RFC 9449 §7.1: 400 for two credentials or an empty one, with a DPoP challenge`, async () => {
    const url = `${await start(createGuard(inProcess([key])))}/api/me`;
    for (const authorization of [
      `DPoP ${token} ${token}`,
      `DPoP ${token}, Bearer ${token}`,
      "DPoP",
      "DPoP,",
    ]) {
      const { status, body, challenge } = await ask(url, { authorization, dpop: await makeProof(url) });
      assert.deepEqual([status, body.error], [400, "invalid_request"], authorization);
      assert.match(challenge, /^DPoP algs="[^"]+", error="invalid_request", error_description="[^"]+"$/);
    }
  });

  test(`${name}: X-Forwarded-* is believed by nobody; origin says what the outside sees`, async () => {
    const outside = "https://api.example.com/api/me";
    const forwarded = {
      "x-forwarded-proto": "https",
      "x-forwarded-host": "api.example.com",
      forwarded: "host=api.example.com;proto=https",
    };
    const headers = async () => ({
      authorization: `DPoP ${token}`,
      dpop: await makeProof(outside),
      ...forwarded,
    });
    const origin = await start(createGuard(inProcess([key], { origin: "https://api.example.com" })));
    assert.equal((await ask(`${origin}/api/me`, await headers())).status, 200);
    assert.equal(await askRaw(origin, "/api/me", { ...(await headers()), Host: "evil.example" }), 200);
    const naive = await start(createGuard(inProcess([key])));
    assert.equal((await ask(`${naive}/api/me`, await headers())).status, 401);
  });

  test(`${name}: a Host header that swallows the path makes no other URL of it`, async () => {
    const url = await start(createGuard(inProcess([key])));
    for (const host of [
      "api.example.com/public?",
      "api.example.com/public#",
      "a@api.example.com",
      "api.example.com\\public",
    ]) {
      const { href } = new URL(`http://${host}`);
      const dpop = await makeProof(href.replace(/[?#].*/, ""));
      const status = await askRaw(url, "/api/me", { Authorization: `DPoP ${token}`, DPoP: dpop, Host: host });
      assert.ok(status === 401 || status === 400, `${host}: ${status}`);
    }
  });
}

test("fastify: behind trustProxy and origin the proof is for the outside's URL", async () => {
  const guard = createGuard(inProcess([key], { origin: "https://api.example.com/v1" }));
  const app = fastify({ trustProxy: true });
  app.get("/me", { onRequest: protectFastify(guard) }, async () => ({}));
  closers.push(() => app.close());
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  const dpop = await makeProof("https://api.example.com/v1/me");
  assert.equal((await ask(`${url}/me`, { authorization: `DPoP ${token}`, dpop })).status, 200);
});

test("express: with its own trust proxy the scheme is the proxy's", async () => {
  const app = express().set("trust proxy", true);
  app.get(
    "/me",
    protectExpress(createGuard(inProcess([key]))),
    (_request, response) => void response.json({}),
  );
  const server = createServer(app);
  closers.push(() => server.close());
  const url = `${await listen(server)}/me`;
  const dpop = await makeProof(url.replace("http:", "https:"));
  const headers = { authorization: `DPoP ${token}`, dpop };
  assert.equal((await ask(url, headers)).status, 401);
  assert.equal((await ask(url, { ...headers, "x-forwarded-proto": "https" })).status, 200);
});

test("node: a request line that is no path is the URL of nothing", async () => {
  const server = createServer((request, response) => response.end(JSON.stringify(nodeReader.url(request))));
  closers.push(() => server.close());
  const { port } = new URL(await listen(server));
  const read = (line: string, host: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), "127.0.0.1", () => {
        socket.end(`${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      });
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString();
      });
      socket
        .on("error", reject)
        .on("close", () => resolve(JSON.parse(/"[^"]*"$/m.exec(text)?.[0] ?? '"refused"')));
    });
  assert.equal(await read("GET /a?b", "x:1"), "http://x:1/a?b");
  assert.equal(await read("GET //evil.example/a", "x:1"), "http://x:1//evil.example/a");
  for (const [line, host] of [
    ["GET http://x:1/a", "x:1"],
    ["OPTIONS *", "x:1"],
    ["GET /a", "x/b?"],
    ["GET /a", "u@x"],
    ["GET /a", ""],
    ["GET /a", "x y"],
  ] as const) {
    assert.equal(await read(line, host), "", `${line} ${host}`);
  }
});

test("node: HTTP/2 names the host in :authority", async () => {
  const request = {
    headers: { ":authority": "api.example.com", host: "x" },
    url: "/me",
    socket: { encrypted: true },
  };
  assert.equal(nodeReader.url(request), "https://api.example.com/me");
  assert.equal(nodeReader.url({ headers: {}, url: "/me" }), "");
  assert.equal(nodeReader.url({ headers: { host: "x" } }), "");
  assert.equal(requestUrl({ protocol: "https", host: "[::1]:8443", target: "/a" }), "https://[::1]:8443/a");
});

test("optional: a request with a bad proof never passes as nobody", async () => {
  const guard = createGuard(inProcess([key]));
  const handler = protectFetch(
    guard,
    (_request, { identity }) => Response.json(identity?.subject ?? "nobody"),
    {
      optional: true,
    },
  );
  const url = "https://api.example.com/me";
  const send = async (headers: Record<string, string>) =>
    (await handler(new Request(url, { headers }))).status;
  assert.equal(await send({}), 200);
  assert.equal(await send({ dpop: await makeProof(url) }), 200);
  assert.equal(await send({ authorization: `DPoP ${token}` }), 401);
  assert.equal(await send({ authorization: `DPoP ${token}`, dpop: await makeProof(`${url}x`) }), 401);
  assert.equal(await send({ authorization: `DPoP ${token}`, dpop: await makeProof(url) }), 200);
});
