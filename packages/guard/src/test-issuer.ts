/** A small issuer for the tests: real keys, real tokens, a real HTTP server with metadata, keys and a feed. */
import { generateKeyPairSync, type KeyObject, randomUUID, sign } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Verification } from "./guard.ts";
import type { PublicJsonWebKey } from "./json-web-key.ts";
import type { GuardOptions } from "./options.ts";

export const audience = "https://api.example.com";
export const staticIssuer = "https://login.example.com";

/** A resource as it is registered, and as it authenticates: RFC 6749 §2.3.1. */
export const resource = { id: "photos api", secret: "s3cret/with:odd%chars" };
export const credentials = `Basic ${btoa("photos%20api:s3cret%2Fwith%3Aodd%25chars")}`;

export type SigningKey = { readonly privateKey: KeyObject; readonly jwk: PublicJsonWebKey };

export function newKey(kid: string): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    privateKey,
    jwk: { ...publicKey.export({ format: "jwk" }), kid, alg: "ES256", use: "sig" } as PublicJsonWebKey,
  };
}

export const segment = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

export const nowSeconds = () => Math.floor(Date.now() / 1000);

export function goodClaims(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  const iat = nowSeconds();
  return {
    iss: staticIssuer,
    aud: audience,
    sub: "alice",
    client_id: "shop",
    sid: randomUUID(),
    jti: randomUUID(),
    scope: "photos:read photos:write",
    iat,
    exp: iat + 600,
    ...overrides,
  };
}

/** Signs whatever header and payload it is given with ES256. */
export function mint(
  key: SigningKey,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): string {
  const head = { alg: "ES256", typ: "at+jwt", kid: key.jwk.kid, ...header };
  return signSegments(key, segment(head), segment(goodClaims(claims)));
}

export function signSegments(key: SigningKey, header: string, payload: string): string {
  const input = `${header}.${payload}`;
  const signature = sign("sha256", Buffer.from(input), { key: key.privateKey, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}

/** Options of a guard that has its keys without a network. */
export function inProcess(keys: readonly SigningKey[], options: Partial<GuardOptions> = {}): GuardOptions {
  const source = { jwks: () => ({ keys: keys.map(({ jwk }) => jwk) }), onKeysChanged: () => () => {} };
  return { issuer: staticIssuer, audience, source, ...options };
}

export function reasonOf(verification: Verification): string {
  return verification.ok ? "ok" : verification.refusal.reason;
}

export type Route = (request: IncomingMessage, response: ServerResponse) => void;

export type TestServer = {
  readonly url: string;
  /** How often each path was asked for. */
  readonly hits: Map<string, number>;
  readonly routes: Map<string, Route>;
  /** Ends every open connection, as a crash does. */
  drop(): void;
  close(): Promise<void>;
};

export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export async function startServer(): Promise<TestServer> {
  const hits = new Map<string, number>();
  const routes = new Map<string, Route>();
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    hits.set(path, (hits.get(path) ?? 0) + 1);
    const route = routes.get(path);
    if (route !== undefined) return route(request, response);
    response.writeHead(404).end();
  });
  const url = await listen(server);
  return {
    url,
    hits,
    routes,
    drop: () => server.closeAllConnections(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export const json =
  (body: unknown, headers: Record<string, string> = {}): Route =>
  (_request, response) => {
    response.writeHead(200, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
  };

export type TestIssuer = TestServer & { keys: SigningKey[] };

/** A server with metadata and keys; `keys` may be changed at any time. */
export async function startIssuer(keys: SigningKey[]): Promise<TestIssuer> {
  const server = await startServer();
  const issuer: TestIssuer = Object.assign(server, { keys });
  const metadata = { issuer: server.url, jwks_uri: `${server.url}/jwks` };
  server.routes.set("/.well-known/openid-configuration", json(metadata));
  server.routes.set("/jwks", (request, response) =>
    json({ keys: issuer.keys.map(({ jwk }) => jwk) })(request, response),
  );
  return issuer;
}
