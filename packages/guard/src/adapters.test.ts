import assert from "node:assert/strict";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { protect as protectExpress } from "./express.ts";
import { guardPlugin, protect as protectFastify } from "./fastify.ts";
import { protect as protectFetch } from "./fetch.ts";
import { createGuard } from "./guard.ts";
import { type GuardVariables, type OptionalGuardVariables, protect as protectHono } from "./hono.ts";
import { identityOf } from "./identity.ts";
import { protect as protectNode } from "./node.ts";
import { audience, inProcess, listen, mint, newKey, startIssuer } from "./test-issuer.ts";

/** The same cases for every adapter: `/me` needs a token, `/write` the scope photos:write, `/open` is optional. */
const key = newKey("k1");
const guard = createGuard(inProcess([key]));
const write = { scopes: ["photos:write"] } as const;
const open = { optional: true } as const;
const closers: (() => Promise<unknown> | unknown)[] = [];
after(async () => {
  for (const close of closers) await close();
});

async function startExpress(): Promise<string> {
  const app = express();
  app.disable("x-powered-by");
  app.get("/me", protectExpress(guard), (request, response) => {
    response.json({ subject: identityOf(request).subject });
  });
  app.get("/write", protectExpress(guard, write), (request, response) => {
    response.json({ subject: request.identity?.subject });
  });
  app.get("/open", protectExpress(guard, open), (request, response) => {
    response.json({ subject: request.identity?.subject ?? "nobody" });
  });
  const server = createServer(app);
  closers.push(() => server.close());
  return listen(server);
}

async function startFastify(): Promise<string> {
  const app = fastify();
  app.get("/me", { onRequest: protectFastify(guard) }, async (request) => ({
    subject: request.identity?.subject,
  }));
  app.get("/write", { preHandler: protectFastify(guard, write) }, async (request) => ({
    subject: identityOf(request).subject,
  }));
  app.register((scope, _options, done) => {
    scope.register(guardPlugin, { guard, requirement: open });
    scope.get("/open", async (request) => ({ subject: request.identity?.subject ?? "nobody" }));
    done();
  });
  closers.push(() => app.close());
  return app.listen({ port: 0, host: "127.0.0.1" });
}

async function startHono(): Promise<string> {
  const app = new Hono<{ Variables: GuardVariables & Partial<OptionalGuardVariables> }>();
  app.get("/me", protectHono(guard), (c) => c.json({ subject: c.get("identity").subject }));
  app.get("/write", protectHono(guard, write), (c) => c.json({ subject: c.get("identity").subject }));
  app.get("/open", protectHono(guard, open), (c) =>
    c.json({ subject: c.get("identity")?.subject ?? "nobody" }),
  );
  return new Promise((resolve) => {
    const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) =>
      resolve(`http://127.0.0.1:${port}`),
    );
    closers.push(() => server.close());
  });
}

async function startNode(): Promise<string> {
  const routes = {
    "/me": protectNode(guard, (_request, response, { identity }) =>
      response.end(JSON.stringify({ subject: identity.subject })),
    ),
    "/write": protectNode(
      guard,
      (_request, response, { identity }) => response.end(JSON.stringify({ subject: identity.subject })),
      write,
    ),
    "/open": protectNode(
      guard,
      (_request, response, { identity }) =>
        response.end(JSON.stringify({ subject: identity?.subject ?? "nobody" })),
      open,
    ),
  };
  const server = createServer((request, response) =>
    routes[request.url as keyof typeof routes](request, response),
  );
  closers.push(() => server.close());
  return listen(server);
}

async function startFetch(): Promise<string> {
  type Environment = { readonly name: string };
  const routes = {
    "/me": protectFetch(guard, (_request, { identity }, environment: Environment) =>
      Response.json({ subject: identity.subject, environment: environment.name }),
    ),
    "/write": protectFetch(
      guard,
      async (_request, { identity }) => Response.json({ subject: identity.subject }),
      write,
    ),
    "/open": protectFetch(
      guard,
      (_request, { identity }) => Response.json({ subject: identity?.subject ?? "nobody" }),
      open,
    ),
  };
  const app = (request: Request) =>
    routes[new URL(request.url).pathname as keyof typeof routes](request, { name: "test" });
  return new Promise((resolve) => {
    const server = serve({ fetch: app, port: 0, hostname: "127.0.0.1" }, ({ port }: AddressInfo) =>
      resolve(`http://127.0.0.1:${port}`),
    );
    closers.push(() => server.close());
  });
}

type Answer = { readonly status: number; readonly headers: Headers; readonly body: Record<string, unknown> };

async function get(url: string, authorization?: string): Promise<Answer> {
  const headers = authorization === undefined ? {} : { authorization };
  const response = await fetch(url, { headers });
  return { status: response.status, headers: response.headers, body: (await response.json()) as never };
}

/** Two Authorization headers, which fetch cannot send. */
function getTwice(url: string, values: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { setHost: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.setHeader("Host", "localhost");
    request.setHeader("Authorization", values);
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
  test(`${name}: a good token passes with its identity, in any case of the scheme`, async () => {
    const url = await start();
    const token = mint(key);
    for (const scheme of ["Bearer ", "bearer ", "BEARER   "]) {
      const { status, body } = await get(`${url}/me`, scheme + token);
      assert.deepEqual([status, body.subject], [200, "alice"]);
    }
    assert.equal((await get(`${url}/write`, `Bearer ${token}`)).status, 200);
  });

  test(`${name}: RFC 6750 §3.1: answers a bare Bearer challenge when no token came`, async () => {
    const url = await start();
    for (const authorization of [undefined, "Basic YTpi", "Bearerx y", "DPoPx y"]) {
      const { status, headers, body } = await get(`${url}/me`, authorization);
      assert.deepEqual([status, headers.get("www-authenticate")], [401, "Bearer"]);
      assert.equal(headers.get("cache-control"), "no-store");
      assert.match(headers.get("content-type") ?? "", /^application\/json/);
      assert.equal(body.error, "missing_token");
    }
  });

  test(`${name}: RFC 6750 §3.1: 401 invalid_token for a bad token, with no word of why`, async () => {
    const url = await start();
    const expired = mint(key, { iat: 1, exp: 2 });
    const answers = await Promise.all(
      [expired, `${mint(key)}A`, "x"].map((one) => get(`${url}/me`, `Bearer ${one}`)),
    );
    for (const { status, headers, body } of answers) {
      assert.equal(status, 401);
      assert.match(
        headers.get("www-authenticate") ?? "",
        /^Bearer error="invalid_token", error_description="/,
      );
      assert.deepEqual(body, answers[0]?.body);
      assert.deepEqual(Object.keys(body), ["error", "error_description"]);
    }
  });

  test(`${name}: RFC 6750 §3.1: 403 insufficient_scope names the scope when only the right is missing`, async () => {
    const url = await start();
    const { status, headers, body } = await get(
      `${url}/write`,
      `Bearer ${mint(key, { scope: "photos:read" })}`,
    );
    assert.deepEqual([status, body.error], [403, "insufficient_scope"]);
    assert.match(headers.get("www-authenticate") ?? "", /error="insufficient_scope".*scope="photos:write"/);
  });

  test(`${name}: RFC 6750 §3.1: 400 invalid_request for two credentials or an empty one`, async () => {
    const url = await start();
    const token = mint(key);
    for (const value of [
      `Bearer ${token} ${token}`,
      `Bearer ${token}, Bearer ${token}`,
      "Bearer",
      "Bearer,",
    ]) {
      const { status, body } = await get(`${url}/me`, value);
      assert.deepEqual([status, body.error], [400, "invalid_request"], value);
    }
    assert.equal(await getTwice(`${url}/me`, [`Bearer ${token}`, `Bearer ${token}`]), 400);
    assert.notEqual(await getTwice(`${url}/me`, [`Bearer ${token}`, "Basic YTpi"]), 200);
    assert.notEqual(await getTwice(`${url}/me`, ["Basic YTpi", `Bearer ${token}`]), 200);
  });

  test(`${name}: optional lets a request without a token pass as nobody, a bad token never`, async () => {
    const url = await start();
    assert.equal((await get(`${url}/open`)).body.subject, "nobody");
    assert.equal((await get(`${url}/open`, `Bearer ${mint(key)}`)).body.subject, "alice");
    assert.equal((await get(`${url}/open`, "Bearer x")).status, 401);
    assert.equal((await get(`${url}/open`, "Bearer")).status, 400);
  });
}

test("express, fastify, hono, node: the first request waits for the keys and passes", async () => {
  const issuer = await startIssuer([key]);
  const token = mint(key, { iss: issuer.url });
  const remote = () => createGuard({ issuer: issuer.url, audience });
  const app = express().get("/", protectExpress(remote()), (_request, response) => void response.json({}));
  const other = fastify();
  other.get("/", { onRequest: protectFastify(remote()) }, async () => ({}));
  const servers = [
    createServer(app),
    createServer(protectNode(remote(), (_request, response) => response.end("{}"))),
  ];
  const urls = await Promise.all(servers.map(listen));
  urls.push(await other.listen({ port: 0, host: "127.0.0.1" }));
  for (const url of urls) assert.equal((await get(url, `Bearer ${token}`)).status, 200);
  for (const server of servers) server.close();
  await other.close();
  await issuer.close();
});

test("identityOf fails loudly on a route that nobody protected", () => {
  assert.throws(() => identityOf({}), /put protect\(guard\) in front/);
});
