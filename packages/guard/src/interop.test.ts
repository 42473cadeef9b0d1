import assert from "node:assert/strict";
import { test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { type Algorithm, allAlgorithms } from "./algorithms.ts";
import { type Cryptography, findNodeCrypto, nodeCryptography, webCryptography } from "./cryptography.ts";
import { createGuardWith } from "./guard.ts";
import type { PublicJsonWebKey } from "./json-web-key.ts";
import { audience, goodClaims, reasonOf, staticIssuer } from "./test-issuer.ts";

const crypto = findNodeCrypto();
assert.ok(crypto);
const runtimes: readonly Cryptography[] = [nodeCryptography(crypto), webCryptography()];

async function mintWith(algorithm: Algorithm) {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: algorithm, alg: algorithm } as PublicJsonWebKey;
  const header = { alg: algorithm, kid: algorithm, typ: "at+jwt" };
  const token = await new SignJWT(goodClaims()).setProtectedHeader(header).sign(privateKey);
  return { token, jwk };
}

/** Another character in the middle of the signature: a good form, a wrong value. */
function tamper(token: string): string {
  const at = token.lastIndexOf(".") + 20;
  return token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
}

for (const cryptography of runtimes) {
  for (const algorithm of allAlgorithms) {
    test(`a ${algorithm} token minted by jose is accepted with ${cryptography.name} crypto, a changed one is not`, async () => {
      const { token, jwk } = await mintWith(algorithm);
      const source = { jwks: () => ({ keys: [jwk] }) };
      const options = { issuer: staticIssuer, audience, source };
      const guard = createGuardWith(options, { cryptography });
      assert.equal(reasonOf(await guard.verify(tamper(token))), "bad_signature");
      assert.equal(reasonOf(await guard.verify(token)), "ok");
      const others = allAlgorithms.filter((name) => name !== algorithm);
      const narrow = createGuardWith({ ...options, algorithms: others }, { cryptography });
      assert.equal(reasonOf(await narrow.verify(token)), "algorithm_not_allowed");
      guard.close();
      narrow.close();
    });
  }

  test(`public vectors verify with ${cryptography.name} crypto: RFC 7515 A.2 (RS256), A.3 (ES256), RFC 8037 A.4 (EdDSA)`, async () => {
    for (const { algorithm, key, token } of vectors) {
      const verifier = await cryptography.makeVerifier(key, algorithm);
      const end = token.lastIndexOf(".");
      const input = token.slice(0, end);
      const signature = new Uint8Array(Buffer.from(token.slice(end + 1), "base64url"));
      assert.equal(await verifier(input, signature), true, algorithm);
      assert.equal(await verifier(`${input}x`, signature), false, algorithm);
      assert.equal(await verifier(input, signature.subarray(1)), false, algorithm);
    }
  });
}

const payload =
  "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const vectors: readonly { algorithm: Algorithm; key: PublicJsonWebKey; token: string }[] = [
  {
    algorithm: "RS256",
    key: {
      kty: "RSA",
      n: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
      e: "AQAB",
    },
    token: `eyJhbGciOiJSUzI1NiJ9.${payload}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw`,
  },
  {
    algorithm: "ES256",
    key: {
      kty: "EC",
      crv: "P-256",
      x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
      y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    },
    token: `eyJhbGciOiJFUzI1NiJ9.${payload}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`,
  },
  {
    algorithm: "EdDSA",
    key: { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    token:
      "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
  },
];
