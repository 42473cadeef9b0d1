/*
 * What else verifies an access token in an API, each at its best honest settings: the key is ready in the form that the
 * library wants, the algorithm is fixed, issuer and audience are compared, the expiry is looked at.
 *
 * - jsonwebtoken: synchronous, with a KeyObject; it has no cache.
 * - jose: jwtVerify with a CryptoKey and the type of the token; it has no cache of tokens.
 * - fast-jwt: without a cache, and with one: `hashed` is its default, which digests each token to find it, `whole` the
 *   faster setting of its documentation, which finds it by itself. It does not look at the signature of a token again
 *   that its cache has.
 * - express-oauth2-jwt-bearer: the middleware alone, without Express around it, with the keys from a server on loopback
 *   (fetched once).
 */
import type { JsonWebKey } from "node:crypto";
import { createPublicKey } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { auth } from "express-oauth2-jwt-bearer";
import { createVerifier } from "fast-jwt";
import { importJWK, jwtVerify } from "jose";
import jwt from "jsonwebtoken";

/** Resolves, or returns, for a good token; otherwise throws. */
export type Verify = (token: string) => unknown;

export async function makeVerifiers(given: {
  jwk: JsonWebKey & { kid: string };
  issuer: string;
  audience: string;
}) {
  const { jwk, issuer, audience } = given;
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const cryptoKey = await importJWK(jwk, "ES256");
  const pem = key.export({ type: "spki", format: "pem" }) as string;
  const fast = { key: pem, algorithms: ["ES256" as const], allowedIss: issuer, allowedAud: audience };
  const jwks = createServer((_request, response) => {
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ keys: [jwk] }));
  }).listen(0, "127.0.0.1");
  await once(jwks, "listening");
  const { port } = jwks.address() as { port: number };
  const middleware = auth({
    issuer,
    audience,
    jwksUri: `http://127.0.0.1:${port}/jwks`,
    tokenSigningAlg: "ES256",
    cacheMaxAge: 3_600_000,
    dpop: { enabled: false },
  });
  const likeExpress = {
    method: "GET",
    protocol: "http",
    originalUrl: "/articles",
    query: {},
    is: () => false,
    get: (name: string) => (name === "Host" ? "localhost" : undefined),
  };
  const throughMiddleware: Verify = (token) =>
    new Promise<void>((resolve, reject) => {
      const request = {
        ...likeExpress,
        headers: { authorization: `Bearer ${token}` },
      };
      const next = (error?: unknown) => (error === undefined ? resolve() : reject(error));
      void middleware(request as never, {} as never, next);
    });
  return {
    cold: {
      jsonwebtoken: (token) => jwt.verify(token, key, { algorithms: ["ES256"], issuer, audience }),
      jose: (token) =>
        jwtVerify(token, cryptoKey, { algorithms: ["ES256"], issuer, audience, typ: "at+jwt" }),
      "fast-jwt": createVerifier({ ...fast, cache: false }),
      "express-oauth2-jwt-bearer": throughMiddleware,
    } satisfies Record<string, Verify>,
    warm: {
      "fast-jwt's cache, hashed": createVerifier({ ...fast, cache: 2000, cacheTTL: 3_600_000 }),
      "fast-jwt's cache, whole": createVerifier({
        ...fast,
        cache: 2000,
        cacheTTL: 3_600_000,
        cacheKeyBuilder: (token: string) => token,
      }),
    } satisfies Record<string, Verify>,
    close: () => jwks.close(),
  };
}
