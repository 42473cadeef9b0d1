/** Clients with a key, and the proofs that they make (RFC 9449 §4.2), good ones and any other. */
import { createHash, randomUUID } from "node:crypto";
import type { ProofRequest } from "./dpop-proof.ts";
import type { PublicJsonWebKey } from "./json-web-key.ts";
import { newKey, nowSeconds, type SigningKey, segment, signSegments } from "./test-issuer.ts";

export type Client = SigningKey & { readonly thumbprint: string };

export const sha256 = (text: string) => createHash("sha256").update(text).digest("base64url");

export function newClient(): Client {
  const { privateKey, jwk } = newKey("");
  const { kty, crv, x, y } = jwk;
  return { privateKey, jwk: { kty, crv, x, y }, thumbprint: thumbprintOf(jwk) };
}

/** RFC 7638, for P-256. */
const thumbprintOf = ({ crv, kty, x, y }: PublicJsonWebKey) => sha256(JSON.stringify({ crv, kty, x, y }));

export const photos = "https://api.example.com/photos";

export type ProofChange = {
  readonly claims?: Record<string, unknown>;
  readonly header?: Record<string, unknown>;
  readonly token?: string;
};

export function proofClaims({ claims = {}, token }: ProofChange = {}): Record<string, unknown> {
  const ath = token === undefined ? {} : { ath: sha256(token) };
  return { jti: randomUUID(), htm: "GET", htu: photos, iat: nowSeconds(), ...ath, ...claims };
}

export const proofHeader = (client: Client, header: Record<string, unknown> = {}) => ({
  typ: "dpop+jwt",
  alg: "ES256",
  jwk: client.jwk,
  ...header,
});

/** A proof for GET {@link photos}, or what it is changed to. */
export function prove(client: Client, change: ProofChange = {}): string {
  const header = segment(proofHeader(client, change.header));
  return signSegments(client, header, segment(proofClaims(change)));
}

export function requestWith(proof: ProofRequest["proof"], change: Partial<ProofRequest> = {}): ProofRequest {
  return { proof, method: "GET", url: photos, ...change };
}
