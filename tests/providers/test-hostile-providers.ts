import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach } from "node:test";
import { readable } from "../../packages/server/src/pages/test-browser.ts";
import { type Reply, startTestServer, type TestServer } from "../../packages/server/src/test-server.ts";
import { openPort } from "./foreign-provider.ts";
import { startHostileProvider, TWIN } from "./hostile-provider.ts";
import { comeBack, setOut, type Visit, whoIs } from "./visitor.ts";

const operator = { actor: "operator" } as const;

/** The page that says that what came back does not hold. */
export const NOT_PROVEN = /could not be accepted, so nobody was signed in and nothing was changed/;
/** The page that knows of no attempt. */
export const GONE = /does not belong to anything that was begun in this browser/;

type HostileProvider = Awaited<ReturnType<typeof startHostileProvider>>;

/** For a file of tests: a server with two providers, "twin" and "other", which tell the truth until they are told to lie. */
export function useHostileProviders() {
  let server: TestServer;
  let twin: HostileProvider;
  let other: HostileProvider;
  let closePorts: () => Promise<unknown>;

  before(async () => {
    const [port, otherPort] = [await openPort(), await openPort()];
    closePorts = () => Promise.all([port.close(), otherPort.close()]);
    server = await startTestServer({ settings: { privateHosts: [port.host, otherPort.host] } });
    [twin, other] = [await startHostileProvider(port), await startHostileProvider(otherPort)];
    server.secrets.add(TWIN.secret);
    server.secrets.add("access-token-of-the-twin-0123456789");
    server.secrets.add("mallory@twin.example");
    await server.addUser("alice", { email: "alice@example.com", emailVerified: true });
  });
  after(async () => {
    await server.close();
    await closePorts();
  });

  async function add(id: string, issuer: string): Promise<void> {
    const input = {
      preset: "oidc",
      id,
      label: id,
      clientId: TWIN.id,
      secret: TWIN.secret,
      trustsEmail: true,
    } as const;
    const added = await server.app.providers.add({ ...input, issuer }, operator);
    assert.equal(added.outcome, "added");
  }

  const remove = (id: string) => server.app.providers.remove(id, operator);

  // What a provider says of itself is kept for an hour: each test gets a new one.
  beforeEach(async () => {
    await server.forgetLimits();
    twin.tell({});
    other.tell({});
    await add("twin", twin.issuer);
    await add("other", other.issuer);
  });
  afterEach(async () => {
    for (const id of ["twin", "other"]) await remove(id);
  });

  return {
    get server() {
      return server;
    },
    get twin() {
      return twin;
    },
    get other() {
      return other;
    },

    /** The twin, added anew: nothing that it said of itself is known any more. */
    async forgetTwin(): Promise<void> {
      await remove("twin");
      await add("twin", twin.issuer);
    },

    /** A way to the provider, whose authorization endpoint knows of it. */
    async begun(id: "twin" | "other" = "twin"): Promise<Visit> {
      const visit = await setOut(server, id);
      (id === "twin" ? twin : other).knows(visit.url);
      return visit;
    },

    answerOf: ({ state }: Visit, more: Readonly<Record<string, string>> = {}) => ({
      code: "a-code",
      state,
      iss: twin.issuer,
      ...more,
    }),

    /** Nobody is signed in by it, nothing is written, and the page says what to do. */
    async assertRefused(
      visit: Visit,
      answer: Readonly<Record<string, string>>,
      expected: RegExp,
    ): Promise<Reply> {
      const before = await server.rows();
      const reply = await comeBack(visit.browser, "twin", answer);
      assert.match(readable(reply), expected);
      assert.ok(reply.status >= 400, `${reply.status}`);
      assert.equal(await server.rows(), before);
      assert.equal(await whoIs(server, visit.browser), undefined);
      return reply;
    },

    /** Whom the twin speaks of when it tells the truth, for the next test to begin without. */
    async removeMallory(): Promise<void> {
      await server.app.users.remove((await server.app.users.find("mallory"))?.id ?? "", operator);
    },
  };
}
