import assert from "node:assert/strict";
import { test } from "node:test";
import { formOf, readable, testBrowser } from "../../packages/server/src/pages/test-browser.ts";
import { GONE, NOT_PROVEN, useHostileProviders } from "./test-hostile-providers.ts";
import { comeBack, setOut, setOutToConnect, whoIs } from "./visitor.ts";

/** People who bend what passes between a browser, a provider and Keyturn. */

const world = useHostileProviders();

test("RFC 9207 §2.4, mix-up: an iss of another provider is refused, and so is none where the provider announces it", async () => {
  for (const iss of [world.other.issuer, `${world.twin.issuer}/`, world.twin.issuer.toUpperCase(), "null"]) {
    const visit = await world.begun();
    await world.assertRefused(visit, world.answerOf(visit, { iss }), NOT_PROVEN);
    assert.ok(!world.twin.asked.includes("/token"), "the code goes to nobody");
  }
  const visit = await world.begun();
  const { iss: _, ...without } = world.answerOf(visit);
  await world.assertRefused(visit, without, NOT_PROVEN);
  assert.ok(!world.twin.asked.includes("/token"));
});

test("RFC 9700 §4.4, mix-up: an answer at another provider's redirect URI finds no attempt, and spends none", async () => {
  const visit = await world.begun("other");
  world.twin.tell({});
  await world.assertRefused(visit, world.answerOf(visit), GONE);
  assert.deepEqual(world.twin.asked, []);
  const reply = await comeBack(visit.browser, "other", world.answerOf(visit, { iss: world.other.issuer }));
  assert.equal(reply.status, 303, readable(reply));
  await world.removeMallory();
});

test("RFC 9700 §4.7, cross-user fixation: an answer in another browser than the one that began is refused, and spends nothing", async () => {
  const attacker = await world.begun();
  const strangers = [testBrowser(world.server), (await world.begun()).browser];
  for (const browser of strangers) {
    await world.assertRefused({ ...attacker, browser }, world.answerOf(attacker), GONE);
  }
  world.twin.knows(attacker.url);
  const reply = await comeBack(attacker.browser, "twin", world.answerOf(attacker));
  assert.equal(reply.status, 303);
  await world.removeMallory();
});

test("cross-user fixation of a link: the answer must find the session that asked, not just the browser", async () => {
  const browser = testBrowser(world.server);
  await browser.signIn("alice");
  const visit = await setOutToConnect(browser, "twin");
  world.twin.knows(visit.url);
  await world.server.addUser("bob");
  await browser.signIn("bob");
  const before = await world.server.rows();
  const reply = await comeBack(browser, "twin", world.answerOf(visit));
  assert.match(readable(reply), /You signed in or out while this was under way/);
  assert.equal(await world.server.rows(), before);
  assert.equal(await whoIs(world.server, browser), "bob");
});

test("a state is good once: replayed, invented, cut, doubled or missing it is refused", async () => {
  const visit = await world.begun();
  const answer = world.answerOf(visit);
  assert.equal((await comeBack(visit.browser, "twin", answer)).status, 303);
  const { cookies } = visit.browser;
  const again = await world.begun();
  // The cookie of a browser that still has it: only the state is used up.
  for (const [name, value] of again.browser.cookies) if (name.includes("provider")) cookies.set(name, value);
  cookies.delete("keyturn");
  const states = [
    visit.state,
    again.state.slice(1),
    `${again.state}A`,
    "",
    "A".repeat(43),
    "%00",
    `${again.state}\0`,
  ];
  for (const state of states) await world.assertRefused({ ...visit }, { ...answer, state }, GONE);
  const { state: _, ...without } = answer;
  await world.assertRefused(visit, without, GONE);
  const twice = `/sign-in/with/twin/callback?code=x&state=${again.state}&state=${again.state}`;
  assert.equal((await again.browser.open(twice)).status, 400);
  await world.removeMallory();
});

test("of a hundred answers with one state at the same moment, one reaches the provider", async () => {
  const visit = await world.begun();
  const answers = Array.from({ length: 100 }, () => comeBack(visit.browser, "twin", world.answerOf(visit)));
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 303).length, 1);
  assert.equal(world.twin.asked.filter((path) => path === "/token").length, 1);
  await world.removeMallory();
});

test("a code that the provider has seen before is refused there, and nobody is signed in", async () => {
  const visit = await world.begun();
  world.twin.tell({
    at: {
      "/token": (_request, response) =>
        void response.writeHead(400, { "content-type": "application/json" }).end('{"error":"invalid_grant"}'),
    },
  });
  await world.assertRefused(visit, world.answerOf(visit), NOT_PROVEN);
  const [event] = await world.server.app.audit.list({});
  assert.equal(event?.detail?.reason, "invalid_grant");
});

test("open redirect: whatever return_to says, one ends on this origin", async () => {
  for (const returnTo of [
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "/.//evil.example",
    "javascript:x",
  ]) {
    const visit = await setOut(world.server, "twin", { returnTo });
    world.twin.knows(visit.url);
    assert.ok(!visit.url.href.includes("evil"));
    const reply = await comeBack(
      visit.browser,
      "twin",
      world.answerOf(visit, { return_to: "https://evil.example" }),
    );
    assert.equal(reply.headers.get("location"), "/account", returnTo);
  }
  await world.removeMallory();
});

test("login CSRF: nothing is begun by a link, by a form of another site, or without the form's token", async () => {
  const browser = testBrowser(world.server);
  const page = await browser.open("/sign-in/with/twin");
  assert.equal(page.status, 200);
  assert.doesNotMatch(page.text, /http-equiv/);
  const count = () => world.server.countRows("provider_attempts");
  const before = await count();
  const { form_token = "" } = formOf(page, "/sign-in/with/twin");
  const cross = await browser.post("/sign-in/with/twin", { form_token }, { "sec-fetch-site": "cross-site" });
  assert.equal(cross.status, 403);
  const without = await browser.post("/sign-in/with/twin", {});
  assert.equal(without.status, 403);
  assert.match(readable(without), /Continue with twin/);
  assert.equal(await count(), before);
});
