import assert from "node:assert/strict";
import { after, before } from "node:test";
import {
  answerOf,
  authorizePath,
  type Browser,
  CALLBACK,
  codeFor,
  type Parameters,
  pkce,
  requestOf,
  type TestClient,
} from "../oauth/test-oauth.ts";
import { type Reply, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { PASSWORD } from "./test-browser.ts";

export const DECIDE = "/oauth/authorize/decide";

/** The page at which people are asked, with four of them. */
export function authorizePage() {
  const clock = stoppedClock();
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ clock, settings: { scopes: ["read", "write"], siteName: "Orchard" } });
    for (const name of ["alice", "bob", "carol", "dora"]) await server.addUser(name);
  });
  after(() => server.close());

  const { challenge } = pkce();
  const ask = (browser: Browser, client: TestClient, more: Parameters = {}) =>
    browser.open(authorizePath(requestOf(client, challenge, more)));

  async function agreed(browser: Browser, client: TestClient, more: Parameters = {}): Promise<string> {
    const { code } = await codeFor(server, { test: client, browser, more });
    return code;
  }

  function isSignIn(reply: Reply, path = "/sign-in"): URL {
    assert.equal(reply.status, 303, reply.text);
    const url = new URL(reply.headers.get("location") ?? "", server.url);
    assert.equal(url.pathname, path);
    return url;
  }

  async function signInAt(browser: Browser, reply: Reply, username: string): Promise<Reply> {
    const page = await browser.follow(reply);
    const back = await browser.submit(page, "/sign-in", { username, password: PASSWORD });
    return browser.follow(back);
  }

  function codeIn(reply: Reply): string {
    const { code = "", error } = answerOf(reply, CALLBACK);
    assert.equal(error, undefined);
    server.secrets.add(code);
    return code;
  }

  const errorIn = (reply: Reply) => answerOf(reply, CALLBACK).error;

  return { clock, server: () => server, challenge, ask, agreed, isSignIn, signInAt, codeIn, errorIn };
}
