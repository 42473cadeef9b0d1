import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from "jose";
import type { TestServer } from "../test-server.ts";

/** A key of a client's, and proofs by it (RFC 9449). */
export async function proverFor(server: TestServer, now: () => number = Date.now) {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwk = await exportJWK(publicKey);
  let count = 0;
  return {
    thumbprint: await calculateJwkThumbprint(jwk),
    prove: (path: string): Promise<string> =>
      new SignJWT({
        jti: `${++count} ${Math.random()}`,
        htm: "POST",
        htu: server.issuer + path,
        iat: Math.floor(now() / 1000),
      })
        .setProtectedHeader({ typ: "dpop+jwt", alg: "ES256", jwk })
        .sign(privateKey),
  };
}
