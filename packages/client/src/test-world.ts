import assert from "node:assert/strict";
import { type Client, createClientWith } from "./client.ts";
// Loaded before, so that no test waits for it.
import "./cookie-mode.ts";
import "./json-keys.ts";
import "./signing.ts";
import type { CredentialStorage } from "./credential-storage.ts";
import type { ClientEvents } from "./events.ts";
import { memoryStorage } from "./memory-storage.ts";
import type { ClientOptions } from "./options.ts";
import type { Channel, Fetch, Locks, Runtime } from "./runtime.ts";
import { apiUrl, createTestIssuer, issuerUrl, type TestRequest } from "./test-issuer.ts";
import { createTimeline } from "./test-timeline.ts";

/** A browser with tabs, a network and a Keyturn, in which only the test lets time pass. */

export type Deliver = (request: TestRequest) => Promise<Response>;
/** What the network does with a request: delivers it, late, twice, or not at all. */
export type Network = (request: TestRequest, deliver: Deliver) => Promise<Response>;

export interface Tab {
  readonly client: Client;
  readonly events: readonly string[];
}

export type World = ReturnType<typeof createWorld>;

/** The wall clock jumps at every look: whoever relies on it is lost. */
export function spoilWallClock(): () => void {
  const { now } = Date;
  let days = 0;
  Date.now = () => {
    days = (days + 37) % 1000;
    return days * 86_400_000;
  };
  return () => {
    Date.now = now;
  };
}

export const offline: Network = async () => {
  throw new TypeError("fetch failed");
};

export const lostReply: Network = async (request, deliver) => {
  await deliver(request);
  throw new TypeError("fetch failed");
};

/** A memory storage that all tabs share, as IndexedDB would be. */
export function sharedStorage(): CredentialStorage {
  return { ...memoryStorage(), sharedByTabs: true };
}

function createHub(sleep: Runtime["sleep"]) {
  const channels = new Set<Channel & { readonly name: string }>();
  const hub = {
    /** How long a message is on its way. */
    delayMs: 0,
    open(name: string): Channel {
      const channel: Channel & { name: string } = {
        name,
        onmessage: null,
        postMessage(message) {
          const data = structuredClone(message);
          for (const other of channels) {
            if (other === channel || other.name !== name) continue;
            const arrived = hub.delayMs > 0 ? sleep(hub.delayMs) : Promise.resolve();
            void arrived.then(() => other.onmessage?.({ data }));
          }
        },
        close: () => void channels.delete(channel),
      };
      channels.add(channel);
      return channel;
    },
  };
  return hub;
}

/** The locks of an origin, as each of its tabs sees them: in the order in which they were asked for. */
function createLocks(): (clientId: string) => Locks {
  const held = new Map<string, string>();
  let waiting: { name: string; take: () => void }[] = [];

  function next(name: string): void {
    const first = waiting.find((one) => one.name === name);
    if (first === undefined || held.has(name)) return;
    waiting = waiting.filter((one) => one !== first);
    first.take();
  }

  return (clientId) => ({
    request: (name, { signal }, work) =>
      new Promise((resolve, reject) => {
        const one = {
          name,
          take() {
            held.set(name, clientId);
            const end = () => {
              held.delete(name);
              next(name);
            };
            void Promise.resolve().then(work).then(resolve, reject).then(end);
          },
        };
        signal.addEventListener("abort", () => {
          // Who has it by now keeps it.
          if (!waiting.includes(one)) return;
          waiting = waiting.filter((other) => other !== one);
          reject(signal.reason);
        });
        waiting.push(one);
        next(name);
      }),
    query: async () => ({ held: [...held].map(([name, clientId]) => ({ name, clientId })) }),
  });
}

export function createWorld() {
  const timeline = createTimeline();
  // The server's clock says another time than any clock of the device.
  const serverOriginMs = 1_800_000_000_000;
  const issuer = createTestIssuer(() => serverOriginMs + timeline.now());
  const hub = createHub(timeline.sleep);
  const locksOf = createLocks();
  let tabs = 0;
  const world = {
    timeline,
    issuer,
    /** As some other tab sees them. */
    locks: locksOf("another tab"),
    hub,
    network: ((request, deliver) => deliver(request)) as Network,
    fetch: ((input, init) => fetch(input, init)) as Fetch,
    /** What a client runs in here. */
    runtime: {} as Partial<Runtime>,
    wakers: new Map<string, Set<() => void>>(),
    wake(event: string) {
      for (const listener of world.wakers.get(event) ?? []) listener();
    },
    openTab,
    /** Asks the API, and says who it takes the caller for; or the status. */
    async whoAmI(client: Client): Promise<string | number> {
      const response = await timeline.run(client.fetch(`${apiUrl}/me`));
      return response.ok ? (await response.json()).username : response.status;
    },
    refreshes: () => issuer.requests.filter(({ url }) => url.pathname === "/refresh"),
  };

  const fetch: Fetch = async (input, init) => {
    const request = new Request(input, init);
    const { signal } = request;
    const text = await request.text();
    const url = new URL(request.url);
    const json =
      request.headers.get("content-type") === "application/json" && text !== "" ? JSON.parse(text) : {};
    const arrived = { method: request.method, url, headers: request.headers, json, text };
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      world.network(arrived, issuer.handle).then(resolve, reject);
    });
  };

  const runtime: Partial<Runtime> = {
    now: timeline.now,
    // Wrong by years.
    originMs: 86_400_000,
    sleep: timeline.sleep,
    random: () => 0.5,
    subtle: timeline.watch(crypto.subtle),
    /** Whoever takes these takes those of a tab of its own. */
    get locks() {
      return locksOf(`tab ${tabs++}`);
    },
    openChannel: hub.open,
    onWake(event, listener, stopped) {
      const all = world.wakers.get(event) ?? new Set();
      world.wakers.set(event, all.add(listener));
      stopped.addEventListener("abort", () => all.delete(listener));
    },
  };
  world.runtime = runtime;

  function openTab(options: Partial<ClientOptions> = {}, internals: Partial<Runtime> = {}): Tab {
    const client = createClientWith(
      { issuer: issuerUrl, apis: [apiUrl], storage: memoryStorage(), dpop: false, fetch, ...options },
      { ...runtime, ...internals },
    );
    return { client, events: noteEvents(client) };
  }

  return world;
}

/** What a client tells, as it tells it. */
export function noteEvents(client: Pick<Client, "on">): readonly string[] {
  const events: string[] = [];
  const note =
    <E extends keyof ClientEvents>(event: E) =>
    (detail: ClientEvents[E]) =>
      events.push(
        "reason" in detail ? `${event} ${detail.reason}` : `${event} ${detail.session.user.username}`,
      );
  client.on("signedIn", note("signedIn"));
  client.on("refreshed", note("refreshed"));
  client.on("signedOut", note("signedOut"));
  return events;
}

export async function signIn(world: World, { client }: Tab, username = "alice"): Promise<void> {
  const session = await world.timeline.run(client.signIn({ username, password: "right" }));
  assert.equal(session.user.username, username);
}
