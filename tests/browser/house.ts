import type { TestContext } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { BrowserContext } from "playwright-core";
import { createSite } from "../../examples/spa/site.ts";
import { fetchHandler } from "../../packages/server/src/fetch-handler.ts";
import {
  startTestServer,
  stoppedClock,
  type TestServer,
  type TestServerOptions,
} from "../../packages/server/src/test-server.ts";
import { bareTabAnswer, bareTabPath } from "./bare-tab.ts";
import { closeAfter } from "./closing.ts";
import { type Handler, startWire } from "./wire.ts";

/**
 * A Keyturn in the test's own process whose clock the test moves, the site of examples/spa before it, and the wire
 * between them and the browser. Access tokens live for a minute.
 */
export type House = Awaited<ReturnType<typeof openHouse>>;

/** The server alone. What its pages ask of the database is tested on both engines beside them; here one is enough. */
export async function openBareServer(t: TestContext, options: TestServerOptions = {}): Promise<TestServer> {
  const server = await startTestServer(options);
  closeAfter(t, server.close);
  return server;
}

export const accessTokenSeconds = 60;
export const graceSeconds = 30;
/** No client waits longer than this for anything. */
const patienceSeconds = 180;
/** Between an answer and what the page does next. */
const settleMilliseconds = 20;
export const alice = { username: "alice", password: "correct horse battery" };
export const bob = { ...alice, username: "bob" };

type Settings = NonNullable<TestServerOptions["settings"]>;
/** Settings of the server, or what they are when its origin is known. */
export type HouseOptions = Settings | ((origin: string) => Settings);

export async function openHouse(t: TestContext, more: HouseOptions = {}) {
  const clock = stoppedClock();
  const wire = await startWire();
  const settings = typeof more === "function" ? more(wire.url) : more;
  const turns = createTurns();
  const start = (beside?: TestServer) =>
    startTestServer({
      clock,
      settings: {
        issuer: `${wire.url}/auth`,
        accessTokenSeconds,
        refreshGraceSeconds: graceSeconds,
        ...settings,
      },
      ...(beside && { beside }),
    });
  const first = await start();
  const servers = [first];
  wire.connect(turns.watching(siteOf(first)));
  await first.addUser(alice.username);
  await first.addUser(bob.username);

  closeAfter(t, async () => {
    wire.connect(undefined);
    await wire.close();
    // The first one owns the rows.
    for (const server of servers.reverse()) await server.close();
  });

  return {
    wire,
    url: wire.url,
    issuer: `${wire.url}/auth`,
    clock,
    /** The page of examples/spa. */
    spa: `${wire.url}/`,
    server: first,
    turns,

    /** Time passes for the server and for each of these browsers, timers that are due included. */
    async pass(seconds: number, ...contexts: readonly BrowserContext[]): Promise<void> {
      clock.pass(seconds);
      await Promise.all(contexts.map((context) => context.clock.fastForward(seconds * 1000)));
    },

    /** Resolves when what is under way has come to its end: a slow machine must not look like a slow server. */
    calm: () => setTimeout(settleMilliseconds).then(wire.idle),

    /**
     * What the promise comes to, while time passes for everyone a second at a time: what waits for a timer of the
     * client gets there in a moment.
     */
    async passUntil<T>(promise: Promise<T>, ...contexts: readonly BrowserContext[]): Promise<T> {
      let isSettled = false;
      const settled = promise.finally(() => {
        isSettled = true;
      });
      settled.catch(() => {});
      for (let seconds = 0; !isSettled && seconds < patienceSeconds; seconds++) {
        await Promise.race([settled, this.pass(1, ...contexts)]);
        await Promise.race([settled, this.calm()]);
      }
      return settled;
    },

    /** The server goes away and another process comes back on the same rows; meanwhile nobody answers. */
    async restart(meanwhile: () => Promise<void>): Promise<void> {
      wire.connect(undefined);
      await meanwhile();
      const next = await start(first);
      servers.push(next);
      wire.connect(turns.watching(siteOf(next)));
    },

    /** All sessions that are or were, by their rows; the newest first. */
    sessions: () => first.app.sessions.list(),
  };
}

function siteOf(server: TestServer): Handler {
  const { app } = server;
  const site = createSite({ guard: app.guard, keyturn: { fetch: fetchHandler(app) } });
  return async (request, connection) => {
    const { pathname } = new URL(request.url);
    if (pathname === bareTabPath) return bareTabAnswer();
    if (pathname.startsWith("/client/")) return keptByTabs(await site.fetch(request, connection));
    return site.fetch(request, connection);
  };
}

/** Twenty modules, ten tabs: each is fetched once. */
function keptByTabs(response: Response): Response {
  const headers = new Headers(response.headers);
  headers.set("cache-control", "max-age=3600");
  return new Response(response.body, { status: response.status, headers });
}

/** What the server made of refreshes, whether or not the answers arrived. */
function createTurns() {
  const tokens = new Map<string, Set<string>>();
  const refusals: string[] = [];
  const presented = new Set<string>();

  return {
    watching(handler: Handler): Handler {
      return async (request, connection) => {
        if (request.method !== "POST" || !request.url.endsWith("/auth/refresh"))
          return handler(request, connection);
        presented.add((await request.clone().json()).refreshToken);
        const response = await handler(request, connection);
        const { refreshToken, error, reason } = await response.clone().json();
        if (error === "invalid_refresh_token") refusals.push(reason);
        if (response.status === 200) {
          const place = placeOf(refreshToken);
          tokens.set(place, (tokens.get(place) ?? new Set()).add(refreshToken));
        }
        return response;
      };
    },
    /** How many generations came to be, of whichever session. */
    count: () => tokens.size,
    /** Generations of which there was more than one: none, if the server keeps its word. */
    forks: () => [...tokens].filter(([, made]) => made.size > 1).map(([place]) => place),
    /** Refresh tokens that came, the oldest first. */
    presented: () => [...presented],
    /** Reasons of refused refresh tokens. A proof that is to be made again is none. */
    refusals: refusals as readonly string[],
  };
}

/** Session and generation of a refresh token: version 1 | key id 1 | session id 16 | generation 4 | … */
function placeOf(refreshToken: string): string {
  const bytes = Buffer.from(refreshToken.replace(/^krt_/, ""), "base64url");
  return `${bytes.toString("hex", 2, 18)}/${bytes.readUInt32BE(18)}`;
}
