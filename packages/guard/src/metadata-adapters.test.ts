import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { protect as protectExpress, serveMetadata as serveExpress } from "./express.ts";
import { guardPlugin, metadataPlugin } from "./fastify.ts";
import { protect as protectFetch, serveMetadata as serveFetch } from "./fetch.ts";
import { createGuard } from "./guard.ts";
import { protect as protectHono, serveMetadata as serveHono } from "./hono.ts";
import { protect as protectNode, serveMetadata as serveNode } from "./node.ts";
import { inProcess, listen, newKey } from "./test-issuer.ts";

/** In each adapter everything is protected but the metadata, which somebody without a token must be able to read. */
const resource = "https://mcp.example.com/v1:beta/mcp";
const guard = createGuard(
  inProcess([newKey("k1")], {
    audience: undefined,
    resourceMetadata: { resource, scopesSupported: ["notes:read"] },
  }),
);
const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers) await close();
});

function serveOnNode(fetch: (request: Request) => Response | Promise<Response>): Promise<string> {
  return new Promise((resolve) => {
    const server = serve({ fetch, port: 0, hostname: "127.0.0.1" }, ({ port }: AddressInfo) =>
      resolve(`http://127.0.0.1:${port}`),
    );
    closers.push(() => server.close());
  });
}

const adapters = {
  express() {
    const app = express();
    app.use(serveExpress(guard));
    app.use(protectExpress(guard));
    const server = createServer(app);
    closers.push(() => server.close());
    return listen(server);
  },
  async fastify() {
    const app = fastify();
    // The order does not matter here: a hook of the scope comes before every route of it.
    app.register(guardPlugin, { guard });
    app.register(metadataPlugin, { guard });
    app.get("/mcp", async () => ({}));
    closers.push(() => app.close());
    return app.listen({ port: 0, host: "127.0.0.1" });
  },
  hono() {
    const app = new Hono();
    app.use(serveHono(guard));
    app.use(protectHono(guard));
    return serveOnNode(app.fetch);
  },
  node() {
    const server = createServer(
      serveNode(
        guard,
        protectNode(guard, (_request, response) => response.end()),
      ),
    );
    closers.push(() => server.close());
    return listen(server);
  },
  fetch: () =>
    serveOnNode(
      serveFetch(
        guard,
        protectFetch(guard, () => new Response()),
      ),
    ),
};

const wellKnown = "/.well-known/oauth-protected-resource";

for (const [name, start] of Object.entries(adapters)) {
  test(`${name}: RFC 9728 §3: serves the metadata without a token, at the path of the resource and at the root`, async () => {
    const url = await start();
    for (const path of [`${wellKnown}/v1:beta/mcp`, wellKnown, `${wellKnown}?x=1`]) {
      const response = await fetch(url + path);
      assert.equal(response.status, 200, path);
      assert.match(response.headers.get("content-type") ?? "", /^application\/json(;|$)/);
      assert.deepEqual(await response.json(), guard.resourceMetadata?.document);
    }
    const head = await fetch(url + wellKnown, { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
  });

  test(`${name}: any origin may read the metadata, also with headers of its own`, async () => {
    const url = await start();
    const response = await fetch(url + wellKnown, { headers: { origin: "https://inspector.example" } });
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    const preflight = await fetch(url + wellKnown, {
      method: "OPTIONS",
      headers: {
        origin: "https://inspector.example",
        "access-control-request-method": "GET",
        "access-control-request-headers": "mcp-protocol-version",
      },
    });
    assert.ok(preflight.ok, String(preflight.status));
    assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
    assert.equal(preflight.headers.get("access-control-allow-headers"), "*");
  });

  test(`${name}: nothing else is let through beside the metadata`, async () => {
    const url = await start();
    const others = [
      "/mcp",
      `${wellKnown}x`,
      `${wellKnown}/other`,
      `${wellKnown}/v1:beta/mcp/..%2f`,
      `/x${wellKnown}`,
    ];
    for (const path of others) {
      const { status } = await fetch(url + path);
      // Fastify does not run the hook of a scope for an address that has no route.
      assert.ok(
        status === 401 || (name === "fastify" && status === 404 && path !== "/mcp"),
        `${path}: ${status}`,
      );
    }
    assert.notEqual((await fetch(url + wellKnown, { method: "POST" })).status, 200);
  });
}

test("a guard without metadata stops the start of an adapter that is to serve it", async () => {
  const without = createGuard(inProcess([newKey("k1")]));
  const wrong = /give createGuard `resourceMetadata`/;
  assert.throws(() => serveExpress(without), wrong);
  assert.throws(() => serveHono(without), wrong);
  assert.throws(() => serveNode(without, () => {}), wrong);
  assert.throws(() => serveFetch(without), wrong);
  const app = fastify();
  app.register(metadataPlugin, { guard: without });
  await assert.rejects(async () => app.ready(), wrong);
});

test("fetch: as a route of its own it answers nothing but the metadata", async () => {
  const route = serveFetch(guard);
  assert.equal((await route(new Request(`https://mcp.example.com${wellKnown}`))).status, 200);
  assert.equal((await route(new Request("https://mcp.example.com/mcp"))).status, 404);
});
