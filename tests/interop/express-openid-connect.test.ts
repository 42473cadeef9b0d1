import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import express from "express";
import connect from "express-openid-connect";
import { untilTrue } from "../stage.ts";
import { openHouse } from "./house.ts";

/** express-openid-connect, unmodified: a whole application with a session of its own, which hears of Keyturn's ends. */

const listening = createServer();
await new Promise<void>((done) => listening.listen(0, "127.0.0.1", done));
const host = `127.0.0.1:${(listening.address() as AddressInfo).port}`;
const baseURL = `http://${host}`;
const house = await openHouse({ privateHosts: [host] });
after(async () => {
  listening.closeAllConnections();
  await new Promise((done) => listening.close(done));
});

/** As express-session's stores are. */
function createStore() {
  const kept = new Map<string, unknown>();
  return {
    kept,
    get: (key: string, done: (error: unknown, value?: unknown) => void) => done(null, kept.get(key)),
    set(key: string, value: unknown, done: (error?: unknown) => void) {
      kept.set(key, value);
      done();
    },
    destroy(key: string, done: (error?: unknown) => void) {
      kept.delete(key);
      done();
    },
  };
}

async function openApplication() {
  const { id, secret } = await house.addClient("web", {
    redirect_uris: [`${baseURL}/callback`],
    post_logout_redirect_uris: [baseURL],
    backchannel_logout_uri: `${baseURL}/backchannel-logout`,
  });
  const store = createStore();
  const app = express();
  app.use(
    connect.auth({
      issuerBaseURL: house.issuer,
      baseURL,
      clientID: id,
      clientSecret: secret,
      secret: "a long secret of the application's own cookie",
      authRequired: false,
      idpLogout: true,
      backchannelLogout: { store: store as never },
      authorizationParams: {
        response_type: "code",
        scope: "openid profile email offline_access notes.read",
        resource: house.api.resource,
      },
    }),
  );
  app.get(
    "/",
    (request, response) =>
      void response.send(
        `<main>${request.oidc.isAuthenticated() ? request.oidc.user?.sub : "nobody"}</main>`,
      ),
  );
  app.get("/notes", async (request, response) => {
    const before = request.oidc.accessToken;
    const { access_token } = (await before?.refresh()) ?? assert.fail("no access token");
    assert.notEqual(access_token, before?.access_token);
    const answer = await fetch(house.api.url("/notes"), {
      headers: { authorization: `Bearer ${access_token}` },
    });
    response.send(`<main>notes: ${answer.status}</main>`);
  });
  listening.removeAllListeners("request");
  listening.on("request", app);
  return { store };
}

const at = (path: string) => new URL(path, baseURL);
const isShown = (path: string) => (url: URL) => url.href === at(`${path}#shown`).href;

test("signs in, refreshes and calls, and RP-Initiated Logout §2 ends the session at both", async () => {
  await openApplication();
  const person = house.person();
  await person.goTo(at("/login"), isShown("/"));
  assert.equal(person.pages.at(-1), house.user.id);
  await person.goTo(at("/notes"), isShown("/notes"));
  assert.equal(person.pages.at(-1), "notes: 200");
  await person.goTo(at("/logout"), isShown("/"));
  assert.equal(person.pages.at(-1), "nobody");
  const browsers = (await house.server.app.sessions.list({ alive: true })).filter(
    ({ kind }) => kind === "browser",
  );
  assert.equal(browsers.length, 0);
});

test("Back-Channel Logout §2.5: the library verifies the logout token, and its session is over", async () => {
  const { store } = await openApplication();
  const person = house.person();
  await person.goTo(at("/login"), isShown("/"));
  assert.equal(person.pages.at(-1), house.user.id);
  const { sessions, backChannelLogout } = house.server.app;
  for (const { id } of await sessions.list({ alive: true })) {
    await sessions.end(id, { actor: "operator", reason: "ended_by_operator" });
  }
  await backChannelLogout.run();
  await untilTrue(2, () => store.kept.size > 0, "the application was not told");
  await person.goTo(at("/"), isShown("/"));
  assert.equal(person.pages.at(-1), "nobody");
});
