import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { apiUrl, type TestRequest } from "./test-issuer.ts";
import { createWorld, type Deliver, offline, signIn, type Tab, type World } from "./test-world.ts";

const json = (status: number, body: unknown) => new Response(JSON.stringify(body), { status });

/** Keyturn's cookie mode, and the browser's cookie jar, which all tabs share. */
function openBrowser() {
  const world = createWorld();
  let jar: string | undefined;
  const sessions = new Map<string, { username: string; reason?: string }>();
  const answers: Response[] = [];
  const paths: string[] = [];
  let minted = 0;

  const deliver: Deliver = async ({ url, json: body, headers }: TestRequest) => {
    paths.push(url.pathname);
    const session = sessions.get(jar ?? "");
    const describe = () => ({ user: { id: "u", username: session?.username, roles: [] }, sessionId: jar });
    if (url.origin === apiUrl) {
      const isGood =
        session && !session.reason && headers.get("authorization") === `Bearer e30.${jar}.${minted}`;
      return isGood ? json(200, { username: session.username }) : json(401, { error: "invalid_token" });
    }
    switch (url.pathname) {
      case "/login":
        assert.equal(body.mode, "cookie");
        jar = `c${sessions.size}`;
        sessions.set(jar, { username: body.username });
        return json(200, { user: { id: "u", username: body.username, roles: [] }, sessionId: jar });
      case "/session":
        if (answers.length > 0) return answers.shift() as Response;
        if (jar === undefined) return json(401, { error: "missing_session" });
        if (session === undefined || session.reason) {
          return json(401, { error: "invalid_session", reason: session?.reason ?? "unknown" });
        }
        minted++;
        return json(200, { ...describe(), accessToken: `e30.${jar}.${minted}`, expiresIn: 600 });
      default:
        jar = undefined;
        if (session) session.reason = "revoked";
        return new Response(null, { status: 204 });
    }
  };
  world.network = deliver;
  const credentials: unknown[] = [];
  const open = (): Tab =>
    world.openTab({
      mode: "cookie",
      fetch: (input, init) => {
        credentials.push([new URL(String(input)).pathname, init?.credentials]);
        return world.fetch(input, init);
      },
    });
  return {
    world,
    open,
    deliver,
    sessions,
    answers,
    paths,
    credentials,
    clearCookies() {
      jar = undefined;
    },
  };
}

const asked = (paths: readonly string[]) => paths.filter((path) => path === "/session").length;
const sessionOf = (world: World, { client }: Tab) => world.timeline.run(client.session());

describe("cookie mode", () => {
  test("nobody signed in is found out by one question", async () => {
    const { world, open, paths } = openBrowser();
    const tab = open();
    assert.equal(await sessionOf(world, tab), undefined);
    assert.deepEqual([paths, tab.events], [["/session"], []]);
  });

  test("the cookie goes with the client's own requests, and no refresh token is held", async () => {
    const { world, open, paths, credentials } = openBrowser();
    const tab = open();
    await signIn(world, tab);
    assert.equal(await world.whoAmI(tab.client), "alice");
    assert.deepEqual(paths, ["/login", "/session", "/me"]);
    assert.deepEqual(credentials, [
      ["/login", "include"],
      ["/session", "include"],
      ["/me", undefined],
    ]);
    assert.deepEqual(tab.events, ["signedIn alice", "refreshed alice"]);
  });

  test("after a reload the cookie tells who it is", async () => {
    const { world, open, paths } = openBrowser();
    await signIn(world, open());
    const reloaded = open();
    assert.equal((await sessionOf(world, reloaded))?.user.username, "alice");
    await sessionOf(world, reloaded);
    assert.equal(asked(paths), 1, "known is known");
    assert.deepEqual(reloaded.events, ["refreshed alice"]);
  });

  test("an access token that is over is asked for anew, once for all who need it", async () => {
    const { world, open, paths } = openBrowser();
    const { client } = open();
    await world.timeline.run(client.signIn({ username: "alice", password: "right" }));
    await world.timeline.run(client.accessToken());
    await world.timeline.advance(700_000);
    await world.timeline.run(Promise.all(Array.from({ length: 20 }, () => client.accessToken())));
    assert.equal(asked(paths), 2);
  });

  for (const reason of ["replaced", "unknown", "revoked"]) {
    test(`a single 401 ${reason} is a race until it is said again`, async () => {
      const { world, open, answers } = openBrowser();
      const tab = open();
      await signIn(world, tab);
      answers.push(json(401, { error: "invalid_session", reason }));
      assert.equal(await world.whoAmI(tab.client), "alice");
    });
  }

  for (const reason of ["expired", "revoked"]) {
    test(`a session that is ${reason} is over, in all tabs`, async () => {
      const { world, open, sessions } = openBrowser();
      const tabs = [open(), open()];
      await signIn(world, tabs[0] as Tab);
      await sessionOf(world, tabs[1] as Tab);
      (sessions.get("c0") as { reason?: string }).reason = reason;
      await assert.rejects(world.timeline.run((tabs[0] as Tab).client.accessToken()), {
        code: "signed_out",
        reason,
      });
      await world.timeline.settle();
      for (const { events } of tabs) assert.equal(events.at(-1), `signedOut ${reason}`);
    });
  }

  for (const reason of ["unknown", "replaced"]) {
    test(`${reason}, again and again, keeps whoever was here and is told to the caller`, async () => {
      const { world, open, answers } = openBrowser();
      const tab = open();
      await signIn(world, tab);
      for (let asks = 0; asks < 3; asks++) answers.push(json(401, { error: "invalid_session", reason }));
      await assert.rejects(world.timeline.run(tab.client.accessToken()), { code: "invalid_session", reason });
      assert.deepEqual(tab.events, ["signedIn alice"]);
      assert.equal(await world.whoAmI(tab.client), "alice");
    });
  }

  test("a cookie that is gone is missing", async () => {
    const { world, open, clearCookies } = openBrowser();
    const tab = open();
    await signIn(world, tab);
    clearCookies();
    await assert.rejects(world.timeline.run(tab.client.accessToken()), {
      code: "signed_out",
      reason: "missing",
    });
    assert.equal(tab.events.at(-1), "signedOut missing");
  });

  test("signing out in one tab signs out all; signing in too", async () => {
    const { world, open } = openBrowser();
    const tabs = [open(), open()] as [Tab, Tab];
    await signIn(world, tabs[0]);
    await world.timeline.settle();
    assert.equal((await sessionOf(world, tabs[1]))?.user.username, "alice");
    assert.deepEqual(await world.timeline.run(tabs[1].client.signOut()), { told: true });
    await world.timeline.settle();
    assert.deepEqual(
      tabs.map(({ events }) => events.at(-1)),
      ["signedOut signed_out", "signedOut signed_out"],
    );
    await signIn(world, tabs[0], "bob");
    await world.timeline.settle();
    assert.equal((await sessionOf(world, tabs[1]))?.user.username, "bob");
    assert.ok(tabs[1].events.includes("signedIn bob"));
  });

  test("a sign-out that the server has not heard of is told again before anything else", async () => {
    const { world, open, deliver, paths } = openBrowser();
    const tab = open();
    await signIn(world, tab);
    world.network = offline;
    assert.deepEqual(await world.timeline.run(tab.client.signOut()), { told: false });
    assert.equal(await sessionOf(world, tab), undefined, "the cookie is still there, and not used");
    world.network = deliver;
    assert.equal(await sessionOf(world, tab), undefined);
    assert.deepEqual(paths.slice(1), ["/logout", "/session"]);
  });

  test("signing out while the session is asked for is not undone by the answer", async () => {
    const { world, open, deliver } = openBrowser();
    const tab = open();
    await signIn(world, tab);
    world.network = async (request) => {
      const response = await deliver(request);
      if (request.url.pathname === "/session") await world.timeline.sleep(1000);
      return response;
    };
    const getting = assert.rejects(tab.client.accessToken(), { code: "signed_out" });
    await world.timeline.settle();
    await world.timeline.run(tab.client.signOut());
    await world.timeline.run(getting);
    assert.deepEqual(tab.events, ["signedIn alice", "signedOut signed_out"]);
  });

  test("a server that is away signs nobody out", async () => {
    const { world, open, deliver } = openBrowser();
    const tab = open();
    await signIn(world, tab);
    world.network = offline;
    await assert.rejects(world.timeline.run(tab.client.accessToken()), { code: "unavailable" });
    world.network = deliver;
    assert.equal(await world.whoAmI(tab.client), "alice");
    assert.deepEqual(tab.events, ["signedIn alice", "refreshed alice"]);
  });
});
