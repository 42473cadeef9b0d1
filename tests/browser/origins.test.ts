import assert from "node:assert/strict";
import { test } from "node:test";
import { bareTabUrl, call, seen, signIn, username } from "./bare-tab.ts";
import { networkErrors, useBrowser } from "./browser.ts";
import { accessTokenSeconds, alice, openHouse } from "./house.ts";

/** A page on one origin, Keyturn on another. The same server by another name is another site to the browser. */
const browser = useBrowser();
const otherName = (url: string) => url.replace("127.0.0.1", "localhost");

test("a page of an origin that the operator allows signs in, refreshes after a lost reply, and signs out", async (t) => {
  const house = await openHouse(t, (url) => ({ allowedOrigins: [otherName(url)] }));
  const visit = await browser.visit(t, { expected: [networkErrors] });
  await visit.startClock(house.clock.now());
  const tab = await visit.tab(bareTabUrl(otherName(house.url), { issuer: house.issuer }));
  await signIn(tab, alice);
  assert.equal(await username(tab), alice.username);
  assert.equal(await call(tab, `${house.issuer}/sessions`), 200);
  await house.pass(accessTokenSeconds, visit.context);
  house.wire.faults(({ method, path, count }) =>
    method === "POST" && path === "/auth/refresh" && count === 0 ? "lose-reply" : undefined,
  );
  assert.equal(await house.passUntil(call(tab), visit.context), 200);
  assert.deepEqual([house.turns.count(), house.turns.refusals], [1, []]);
  assert.deepEqual(await tab.evaluate(() => window.keyturn.signOut()), { told: true });
  const ends = (await seen(tab)).filter(({ event }) => event === "signedOut");
  assert.deepEqual(ends, [{ event: "signedOut", reason: "signed_out" }]);
});

test("a page of any other origin cannot sign in, and is told so as an unreachable server", async (t) => {
  const house = await openHouse(t);
  const visit = await browser.visit(t, { expected: [networkErrors, /blocked by CORS policy/] });
  const tab = await visit.tab(bareTabUrl(otherName(house.url), { issuer: house.issuer }));
  const code = await tab.evaluate(
    (account) =>
      window.keyturn.signIn(account).then(
        () => "signed in",
        (error) => error.code as string,
      ),
    alice,
  );
  assert.equal(code, "unavailable");
  assert.deepEqual(await house.sessions(), []);
});
