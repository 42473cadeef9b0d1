import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { KeyturnError } from "./keyturn-error.ts";
import { apiUrl } from "./test-issuer.ts";
import { createWorld, signIn } from "./test-world.ts";

/** What may come where Keyturn's answer should: portals, proxies, broken servers, attackers. */

const good = {
  accessToken: "e30.e30.x",
  refreshToken: "krt_s0.1",
  tokenType: "Bearer",
  expiresIn: 600,
  sessionId: "s0",
};
const without = (name: string) => Object.fromEntries(Object.entries(good).filter(([key]) => key !== name));
const text =
  (body: unknown, status = 200) =>
  () =>
    new Response(typeof body === "string" ? body : JSON.stringify(body), { status });

const answers: [string, () => Response][] = [
  ["an empty 200", text("")],
  ["HTML of a portal", text("<html>Sign in to the Wi-Fi</html>")],
  ["JSON that is cut off", text('{"accessToken":"e30')],
  ["an array", text([good])],
  ["null", text("null")],
  ["a number", text("7")],
  ["a 200 with an error in it", text({ error: "invalid_refresh_token", reason: "revoked" })],
  ["a 204", () => new Response(null, { status: 204 })],
  ["a redirect", () => new Response(null, { status: 307, headers: { location: "https://evil.example/" } })],
  ["a 401 of a proxy", text("<html>Proxy authentication</html>", 401)],
  ["a 401 of another API", text({ message: "revoked", reason: "revoked" }, 401)],
  ["a 403 page", text("no", 403)],
  ["a 404 page", text("not found", 404)],
  ["a 500 with a reason in it", text({ error: "invalid_refresh_token", reason: "revoked" }, 500)],
  ["too much", () => new Response(`{"accessToken":"${"a".repeat(100_000)}"}`)],
  [
    "an endless body",
    () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            controller.enqueue(new Uint8Array(16_384));
          },
        }),
      ),
  ],
  ...Object.keys(good)
    .filter((name) => name !== "tokenType")
    .map((name): [string, () => Response] => [`no ${name}`, text(without(name))]),
  ["a token of two lines", text({ ...good, accessToken: "a\r\nx-evil: 1" })],
  ["a token that is an object", text({ ...good, accessToken: { toString: "x" } })],
  ["a refresh token that is a number", text({ ...good, refreshToken: 7 })],
  ["an empty refresh token", text({ ...good, refreshToken: "" })],
  ["a life of 0", text({ ...good, expiresIn: 0 })],
  ["a negative life", text({ ...good, expiresIn: -5 })],
  ["a life in words", text({ ...good, expiresIn: "soon" })],
  ["a life that is null", text({ ...good, expiresIn: null })],
  ["another type of token", text({ ...good, tokenType: "MAC" })],
  ["the session of somebody else", text({ ...good, sessionId: "s9" })],
];

describe("what is no answer of Keyturn's signs nobody out, and the same token is sent again", () => {
  for (const [name, answer] of answers) {
    test(name, async () => {
      const world = createWorld();
      const tab = world.openTab();
      await signIn(world, tab);
      await world.timeline.advance(700_000);
      let answered = 0;
      world.network = async (request, deliver) => {
        if (request.url.pathname !== "/refresh" || answered++ >= 2) return deliver(request);
        return answer();
      };
      const getting = tab.client.accessToken();
      await world.timeline.run(getting.catch(() => {}));
      assert.equal(await world.whoAmI(tab.client), "alice");
      assert.ok(tab.events.every((event) => !event.startsWith("signedOut")));
      assert.ok(answered >= 2);
    });
  }
});

test("a life beyond a day is taken for a day", async () => {
  const world = createWorld();
  const tab = world.openTab();
  world.issuer.accessSeconds = 1e12;
  await signIn(world, tab);
  await world.timeline.advance(86_400_000);
  await world.timeline.run(tab.client.accessToken());
  assert.equal(world.refreshes().length, 1);
});

test("no error holds a token, a password or what the server said of them", async () => {
  const world = createWorld();
  const tab = world.openTab();
  await signIn(world, tab);
  await world.timeline.advance(700_000);
  const token = "krt_s0.0";
  const errors: unknown[] = [];
  const collect = async (promise: Promise<unknown>) =>
    world.timeline.run(promise.catch((error) => errors.push(error)));
  for (const body of [
    { error: "invalid_refresh_token", reason: "unknown", error_description: `What is ${token}?` },
    { error: `odd ${token}`, reason: token },
    { error: "odd", reason: `x ${token}` },
    token,
  ]) {
    world.network = async () => new Response(JSON.stringify(body), { status: 400 });
    await collect(tab.client.accessToken());
    await collect(tab.client.fetch(`${apiUrl}/me`));
    await collect(tab.client.signIn({ username: "a", password: "the secret password" }));
  }
  assert.equal(errors.length, 12);
  for (const error of errors) {
    assert.ok(error instanceof KeyturnError);
    const shown = JSON.stringify([error.message, error.stack, error.code, error.reason, String(error.cause)]);
    assert.doesNotMatch(shown, /krt_|secret password/);
  }
});
