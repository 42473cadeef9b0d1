import { createPublicKey, type KeyObject, verify, type webcrypto } from "node:crypto";
import { createGuard } from "@keyturn/guard";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { type Finding, rounded, shown, spread } from "./figures.ts";

const issuer = "https://issuer.example";
const audience = "https://api.example";

/** The guard in this process, against `crypto.verify` alone on the same tokens, block by block in turn. */
export async function benchVerify({ rounds = 15 } = {}) {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: "1", alg: "ES256", use: "sig" };
  const source = { jwks: () => ({ keys: [jwk] }) };
  const tokens = await Promise.all(Array.from({ length: 1000 }, (_, index) => mint(privateKey, index)));
  const cold = createGuard({ issuer, audience, source, cacheTokensMax: 0 });
  const warm = createGuard({ issuer, audience, source });
  await Promise.all([cold.ready(), warm.ready()]);
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const bare = tokens.map((token) => bareParts(token));
  const coldRatios: number[] = [];
  const warmRates: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const bareTime = time(() => {
      for (const parts of bare) mustBe(verifyBare(parts, key));
    });
    const coldTime = time(() => {
      for (const token of tokens) mustBe(isGood(cold.verify(token)));
    });
    const warmTime = warmBlock(warm, tokens);
    if (round === 0) continue;
    coldRatios.push(bareTime / coldTime);
    warmRates.push(200_000 / (warmTime / 1000));
  }
  const findings: Finding[] = [
    {
      what: "guard, warm cache, one process",
      target: "≥ 1,000,000 a second",
      measured: `${rounded(spread(warmRates).median / 1e6)} million (${rounded(spread(warmRates).min / 1e6)} to ${rounded(spread(warmRates).max / 1e6)})`,
      reached: spread(warmRates).median >= 1e6,
    },
    {
      what: "guard, cold, against crypto.verify alone",
      target: "≥ 0.90",
      measured: shown(spread(coldRatios)),
      reached: spread(coldRatios).median >= 0.9,
    },
  ];
  cold.close();
  warm.close();
  return {
    findings,
    rounds,
    tokenBytes: tokens[0]?.length,
    coldRatios: spread(coldRatios),
    warmPerSecond: spread(warmRates),
  };
}

/** Every look-up gets a string of its own, as from a socket: none has its hash computed already. */
function warmBlock(guard: ReturnType<typeof createGuard>, tokens: readonly string[]): number {
  const buffers = tokens.map((token) => Buffer.from(token, "latin1"));
  let total = 0;
  for (let block = 0; block < 200; block++) {
    const fresh = buffers.map((buffer) => buffer.toString("latin1"));
    total += time(() => {
      for (const token of fresh) mustBe(isGood(guard.verify(token)));
    });
  }
  return total;
}

function mint(privateKey: webcrypto.CryptoKey, index: number): Promise<string> {
  return new SignJWT({
    client_id: "first-party",
    sid: `01a20913-9ee1-716c-a64d-${String(index).padStart(12, "0")}`,
    scope: "articles:read articles:write",
    roles: ["editor"],
    amr: ["pwd"],
    auth_time: 1_790_000_000,
    jti: `token-${index}-0123456789abcdef`,
  })
    .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: "1" })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject("01a20913-9e92-7677-8c5e-12b558ce290a")
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(privateKey);
}

/** What crypto.verify wants: bytes, and the signature in DER. Made beforehand, so that only the call is timed. */
function bareParts(token: string) {
  const [header, payload, signature = ""] = token.split(".");
  const raw = Buffer.from(signature, "base64url");
  const integer = (bytes: Buffer) => {
    let from = 0;
    while (from < bytes.length - 1 && bytes[from] === 0) from++;
    const positive = (bytes[from] ?? 0) >= 0x80 ? [0] : [];
    return Buffer.from([2, bytes.length - from + positive.length, ...positive, ...bytes.subarray(from)]);
  };
  const body = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
  return {
    input: Buffer.from(`${header}.${payload}`),
    signature: Buffer.concat([Buffer.from([0x30, body.length]), body]),
  };
}

const verifyBare = ({ input, signature }: ReturnType<typeof bareParts>, key: KeyObject) =>
  verify("sha256", input, key, signature);
const isGood = (verification: ReturnType<ReturnType<typeof createGuard>["verify"]>) =>
  "ok" in verification && verification.ok;

function mustBe(good: boolean): void {
  if (!good) throw new Error("a good token was refused");
}

function time(work: () => void): number {
  const begun = performance.now();
  work();
  return performance.now() - begun;
}
