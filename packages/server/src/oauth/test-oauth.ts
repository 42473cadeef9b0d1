import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { Client, ClientType } from "../clients/client.ts";
import type { ClientMetadataInput } from "../clients/client-metadata.ts";
import { testBrowser } from "../pages/test-browser.ts";
import { sha256 } from "../primitives/digest.ts";
import { basic, type Call, type Reply, type TestServer } from "../test-server.ts";

/** A client of an authorization server, as a test drives it. */

const operator = { actor: "operator" } as const;

export const CALLBACK = "https://app.example/callback";

export interface TestClient {
  readonly client: Client;
  readonly secret: string | undefined;
  readonly redirectUri: string;
  /** The header of a client that has a secret. */
  readonly headers: Readonly<Record<string, string>>;
}

export async function addClient(
  server: TestServer,
  given: { name?: string; type?: ClientType; metadata?: ClientMetadataInput; origin?: Client["origin"] } = {},
): Promise<TestClient> {
  const { name = "Shop", type = "web", metadata = {}, origin } = given;
  const redirect_uris = metadata.redirect_uris ?? [CALLBACK];
  const added = await server.app.clients.add(
    { name, type, metadata: { redirect_uris, ...metadata } },
    operator,
    origin,
  );
  assert.ok(added.outcome === "added", JSON.stringify(added));
  const { client, secret } = added;
  if (secret !== undefined) server.secrets.add(secret);
  return {
    client,
    secret,
    redirectUri: redirect_uris[0] ?? "",
    headers: secret === undefined ? {} : { authorization: basic(client.id, secret) },
  };
}

export function pkce() {
  const verifier = randomBytes(32).toString("base64url");
  return { verifier, challenge: sha256(verifier).toString("base64url") };
}

/** Parameters of a request; one that is undefined is left out, one that is a list is repeated. */
export type Parameters = Readonly<Record<string, string | readonly string[] | undefined>>;

export function query(parameters: Parameters): string {
  const pairs = Object.entries(parameters).flatMap(([name, value]): [string, string][] => {
    if (value === undefined) return [];
    return typeof value === "string" ? [[name, value]] : value.map((one) => [name, one]);
  });
  return new URLSearchParams(pairs).toString();
}

export function requestOf(test: TestClient, challenge: string, more: Parameters = {}): Parameters {
  return {
    response_type: "code",
    client_id: test.client.id,
    redirect_uri: test.redirectUri,
    scope: "openid profile",
    state: "a-state",
    code_challenge: challenge,
    code_challenge_method: "S256",
    ...more,
  };
}

export const authorizePath = (parameters: Parameters): string => `/oauth/authorize?${query(parameters)}`;

/** What the client is told by the browser. */
export function answerOf(reply: Reply, redirectUri: string): Record<string, string> {
  assert.equal(reply.status, 303, reply.text);
  const location = reply.headers.get("location") ?? "";
  assert.ok(location.startsWith(redirectUri), location);
  return Object.fromEntries(new URL(location).searchParams);
}

/** A form to an endpoint. */
export const postForm = (
  server: TestServer,
  path: string,
  parameters: Parameters,
  call: Call = {},
): Promise<Reply> =>
  server.call(path, {
    ...call,
    method: "POST",
    body: query(parameters),
    headers: { "content-type": "application/x-www-form-urlencoded", ...call.headers },
  });

export function exchange(
  server: TestServer,
  test: TestClient,
  parameters: Parameters,
  headers: Record<string, string> = {},
): Promise<Reply> {
  return postForm(
    server,
    "/oauth/token",
    {
      grant_type: "authorization_code",
      client_id: test.secret === undefined ? test.client.id : undefined,
      redirect_uri: test.redirectUri,
      ...parameters,
    },
    { headers: { ...test.headers, ...headers } },
  );
}

/** A person in a browser, signed in. */
export async function signedIn(server: TestServer, username: string) {
  const browser = testBrowser(server);
  await browser.signIn(username);
  return browser;
}

export type Browser = Awaited<ReturnType<typeof signedIn>>;

const DECIDE = "/oauth/authorize/decide";

export const decide = (browser: Browser, page: Reply, decision: string): Promise<Reply> =>
  browser.submit(page, DECIDE, { decision });

/** As a program without Fetch Metadata, so that the way on is a redirect. */
export async function decideByProgram(browser: Browser, page: Reply, decision: string): Promise<Reply> {
  const { formOf } = await import("../pages/test-browser.ts");
  return browser.post(DECIDE, { ...formOf(page, DECIDE), decision });
}

/** A code, by the whole way of somebody who agrees where they are asked. */
export async function codeFor(
  server: TestServer,
  given: { test: TestClient; browser: Browser; more?: Parameters },
): Promise<{ code: string; verifier: string; answer: Record<string, string> }> {
  const { test, browser, more = {} } = given;
  const { verifier, challenge } = pkce();
  let reply = await browser.open(authorizePath(requestOf(test, challenge, more)));
  if (reply.status === 200) reply = await decideByProgram(browser, reply, "allow");
  const answer = answerOf(reply, test.redirectUri);
  assert.ok(answer.code, JSON.stringify(answer));
  server.secrets.add(answer.code);
  return { code: answer.code, verifier, answer };
}

/** The claims of a JWT, unverified. */
export function claimsOf(token: unknown): Record<string, unknown> {
  return JSON.parse(Buffer.from(String(token).split(".")[1] ?? "", "base64url").toString());
}
export const headerOf = (token: unknown): Record<string, unknown> =>
  JSON.parse(Buffer.from(String(token).split(".")[0] ?? "", "base64url").toString());
