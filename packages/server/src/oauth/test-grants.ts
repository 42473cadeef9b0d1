import assert from "node:assert/strict";
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, SignJWT } from "jose";
import type { Client, ClientType } from "../clients/client.ts";
import type { ClientMetadataInput } from "../clients/client-metadata.ts";
import type { NewSession } from "../sessions/session.ts";
import { basic, type Reply, type TestServer } from "../test-server.ts";

/** Clients of a test server, and what they do at the OAuth endpoints. */

const operator = { actor: "operator" } as const;
export const FORM = { "content-type": "application/x-www-form-urlencoded" };
export const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
export const EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange";
export const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

export type Fields = Readonly<Record<string, string | readonly string[] | undefined>>;
export type TestClient = Awaited<ReturnType<typeof addClient>>;

/** A form as OAuth has them: a list is a parameter that is repeated. */
function formBody(fields: Fields): string {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of typeof value === "string" ? [value] : (value ?? [])) form.append(name, one);
  }
  return form.toString();
}

let clients = 0;

export async function addClient(server: TestServer, type: ClientType, metadata: ClientMetadataInput = {}) {
  const isForPeople = type === "web" || type === "spa" || type === "native";
  const added = await server.app.clients.add(
    {
      name: `Client ${++clients}`,
      id: `client-${clients}`,
      type,
      metadata: { ...(isForPeople && { redirect_uris: ["https://client.example/cb"] }), ...metadata },
    },
    operator,
  );
  assert.ok(added.outcome === "added", JSON.stringify(added));
  const { client, secret } = added;
  if (secret !== undefined) server.secrets.add(secret);
  return clientOf(server, client, secret);
}

function clientOf(server: TestServer, client: Client, secret: string | undefined) {
  async function post(path: string, fields: Fields, headers: Record<string, string> = {}): Promise<Reply> {
    const credentials: Record<string, string> =
      secret === undefined ? {} : { authorization: basic(client.id, secret) };
    const body = formBody(secret === undefined ? { client_id: client.id, ...fields } : fields);
    const reply = await server.call(path, {
      method: "POST",
      body,
      headers: { ...FORM, ...credentials, ...headers },
    });
    noteTokens(server, reply);
    return reply;
  }

  const token = (fields: Fields, headers?: Record<string, string>) => post("/oauth/token", fields, headers);
  return {
    client,
    id: client.id,
    secret,
    post,
    token,
    refresh: (refreshToken: string, more: Fields = {}, headers?: Record<string, string>) =>
      token({ grant_type: "refresh_token", refresh_token: refreshToken, ...more }, headers),
    introspect: (presented: string, headers?: Record<string, string>) =>
      post("/oauth/introspect", { token: presented }, headers),
    revoke: (presented: string, more: Fields = {}) => post("/oauth/revoke", { token: presented, ...more }),
    change: (change: ClientMetadataInput) =>
      server.app.clients.update(client.id, { metadata: change }, operator),
    remove: () => server.app.clients.remove(client.id, operator),
  };
}

function noteTokens(server: TestServer, { json }: Reply): void {
  for (const member of ["access_token", "refresh_token", "id_token", "device_code"]) {
    const value = json[member];
    if (typeof value === "string") server.secrets.add(value);
  }
}

/** A session of a client that a user let in, as the authorization endpoint starts one, with its first refresh token. */
export async function letIn(
  server: TestServer,
  client: Pick<TestClient, "id">,
  more: Partial<NewSession> & { readonly userId: string },
) {
  const started = await server.app.sessions.start({
    clientId: client.id,
    kind: "client",
    scope: "openid profile",
    amr: ["pwd"],
    ...more,
  });
  assert.ok(started, "a test could not start its session");
  server.secrets.add(started.credential);
  return { session: started.session, refreshToken: started.credential };
}

/** The members of a reply that succeeded, with what its access token says. */
export function tokensOf(reply: Reply) {
  assert.equal(reply.status, 200, reply.text);
  const { access_token, refresh_token, id_token } = reply.json as Record<string, string>;
  assert.ok(access_token);
  return {
    accessToken: access_token,
    refreshToken: refresh_token ?? "",
    idToken: id_token,
    claims: decodeJwt(access_token) as Record<string, unknown>,
    json: reply.json,
  };
}

export function assertOauthError(reply: Reply, error: string, status = 400): void {
  assert.equal(reply.json.error, error, reply.text.slice(0, 300));
  assert.equal(reply.status, status);
  assert.equal(typeof reply.json.error_description, "string");
  // RFC 6749 §5.2: `error_description` has no characters outside of %x20-21 / %x23-5B / %x5D-7E.
  assert.match(String(reply.json.error_description), /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/);
  assert.equal(reply.headers.get("cache-control"), "no-store");
}

/** A key of a client's, and proofs by it: RFC 9449. */
export async function keyOf(server: Pick<TestServer, "issuer">, clock: { now(): number } = Date) {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwk = await exportJWK(publicKey);
  let jtis = 0;
  const prove = (method: string, path: string, claims: Record<string, unknown> = {}) =>
    new SignJWT({
      jti: `${Math.random()}-${++jtis}`,
      htm: method,
      htu: server.issuer + path,
      iat: Math.floor(clock.now() / 1000),
      ...claims,
    })
      .setProtectedHeader({ typ: "dpop+jwt", alg: "ES256", jwk })
      .sign(privateKey);
  return {
    thumbprint: await calculateJwkThumbprint(jwk),
    prove,
    proof: async (path = "/oauth/token") => ({ dpop: await prove("POST", path) }),
  };
}
