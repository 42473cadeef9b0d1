import type * as Jose from "jose";
import { clientSigningAlgorithms } from "../config-clients.ts";
import type { Client } from "./client.ts";
import type { ClientKeys, Jwk } from "./client-keys.ts";

/** The claims of a JWT that a client has signed. Nothing but the signature has been looked at. */
export type Claims = Readonly<Record<string, unknown>>;

export type ClientJwts = ReturnType<typeof createClientJwts>;

/** FAPI 2.0 Security Profile §5.4.1. */
const STRICT = ["ES256", "PS256", "EdDSA", "Ed25519"] as const;

/**
 * JWTs that a client has signed by a key of its own: assertions (RFC 7523) and request objects (RFC 9101). The one place
 * that knows jose, which is loaded when the first of them comes.
 */
export function createClientJwts({ keys }: { keys: ClientKeys }) {
  return {
    /**
     * The claims, if a key of the client has signed them.
     * @param expected.types values of `typ` that it may have, in lower case, without `application/` (RFC 8725 §3.11);
     *   `undefined` among them: it may have none
     * @param expected.algorithm the only one, where the client is registered for one
     */
    async verify(
      jwt: string,
      client: Pick<Client, "metadata" | "origin">,
      expected: {
        readonly types: readonly (string | undefined)[];
        readonly algorithm: string | undefined;
      },
    ): Promise<Claims | undefined> {
      const jose = await import("jose");
      const header = headerOf(jose, jwt);
      if (header === undefined || !expected.types.includes(typeIn(header.typ))) return undefined;
      const { alg, kid } = header;
      // RFC 8725 §3.1: the caller's list of algorithms, and no other; no "none", nothing symmetric is in it.
      const isStrict = client.metadata.keyturn_profile === "fapi2";
      const allowed: readonly string[] = isStrict ? STRICT : clientSigningAlgorithms;
      if (!allowed.includes(alg) || (expected.algorithm !== undefined && expected.algorithm !== alg))
        return undefined;
      for (const key of await keys.of(client, { alg, kid })) {
        const claims = await verifiedBy(jose, { jwt, key, alg });
        if (claims !== undefined) return claims;
      }
      return undefined;
    },
  };
}

/** What an unsigned look shows: for finding the client whose keys are to be asked. */
export function unverifiedClaims(jwt: string): Claims | undefined {
  const [, payload, ...rest] = jwt.split(".", 4);
  return payload === undefined || rest.length !== 1
    ? undefined
    : objectIn(Buffer.from(payload, "base64url").toString("utf8"));
}

function headerOf(
  jose: typeof Jose,
  jwt: string,
): { alg: string; kid: string | undefined; typ: unknown } | undefined {
  try {
    const { alg, kid, typ } = jose.decodeProtectedHeader(jwt);
    if (typeof alg !== "string" || (kid !== undefined && typeof kid !== "string")) return undefined;
    return { alg, kid, typ };
  } catch {
    return undefined;
  }
}

/** RFC 7515 §4.1.9: compared without regard to case, with `application/` left out. */
function typeIn(typ: unknown): string | undefined {
  if (typ === undefined) return undefined;
  return String(typ)
    .toLowerCase()
    .replace(/^application\//, "");
}

async function verifiedBy(
  jose: typeof Jose,
  { jwt, key, alg }: { jwt: string; key: Jwk; alg: string },
): Promise<Claims | undefined> {
  try {
    const imported = await jose.importJWK(key as Jose.JWK, alg);
    const { payload } = await jose.compactVerify(jwt, imported, { algorithms: [alg] });
    return objectIn(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch {
    // A key that cannot be read, or another's signature: jose throws for each.
    return undefined;
  }
}

function objectIn(text: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Claims)
      : undefined;
  } catch {
    return undefined;
  }
}
