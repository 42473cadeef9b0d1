/*
 * What people verify access tokens with, each at its best: the key parsed once where that can be, issuer, audience and
 * algorithm checked, which is what the guard does too.
 */
import { createVerifier } from "fast-jwt";
import { type CryptoKey, jwtVerify } from "jose";
import jsonwebtoken from "jsonwebtoken";

export interface Expected {
  readonly issuer: string;
  readonly audience: string;
  /** The public key: as PEM, and for jose as it likes it. */
  readonly pem: string;
  readonly key: CryptoKey;
}

export function verifiers({ issuer, audience, pem, key }: Expected) {
  const checks = { allowedIss: issuer, allowedAud: audience, algorithms: ["ES256" as const], key: pem };
  const expected = { issuer, audience, algorithms: ["ES256" as const] };
  const fast = createVerifier({ ...checks, cache: false });
  const fastCached = createVerifier({ ...checks, cache: 10_000 });
  return {
    jsonwebtoken: (token: string) => Boolean(jsonwebtoken.verify(token, pem, expected)),
    "fast-jwt": (token: string) => Boolean(fast(token)),
    jose: async (token: string) => Boolean((await jwtVerify(token, key, expected)).payload),
    cached: (token: string) => Boolean(fastCached(token)),
  };
}
