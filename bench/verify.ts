import { createPublicKey, type KeyObject, verify, type webcrypto } from "node:crypto";
import { createGuard } from "@keyturn/guard";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { type Finding, rounded, shown, spread } from "./figures.ts";

const issuer = "https://issuer.example";
const audience = "https://api.example";

/**
 * Verifying in this process, block by block in turn, the same tokens: the guard, `crypto.verify` alone, and what people
 * use. Each checks signature, issuer, audience, algorithm and times; a cache of each is warm with the same thousand.
 */
export async function benchVerify({ rounds = 15 } = {}) {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: "1", alg: "ES256", use: "sig" };
  const source = { jwks: () => ({ keys: [jwk] }) };
  const tokens = await Promise.all(Array.from({ length: 1000 }, (_, index) => mint(privateKey, index)));
  const cold = createGuard({ issuer, audience, source, cacheTokensMax: 0 });
  const warm = createGuard({ issuer, audience, source });
  await Promise.all([cold.ready(), warm.ready()]);
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const pem = key.export({ type: "spki", format: "pem" }).toString();
  const bare = tokens.map((token) => bareParts(token));
  const peers = await loadVerifiers({ issuer, audience, pem, key: publicKey });
  const each = (work: (token: string) => unknown) => () => {
    for (const token of tokens) mustBe(Boolean(work(token)));
  };
  /** A second for each, all tokens: rates of those that check every signature. */
  const signatures: Record<string, () => void | Promise<void>> = {
    "crypto.verify alone": () => {
      for (const parts of bare) mustBe(verifyBare(parts, key));
    },
    "@keyturn/guard, cold": each((token) => isGood(cold.verify(token))),
    jsonwebtoken: each(peers.jsonwebtoken),
    "fast-jwt": each(peers["fast-jwt"]),
    jose: async () => {
      for (const token of tokens) mustBe(await peers.jose(token));
    },
  };
  const rates: Record<string, number[]> = Object.fromEntries(
    [...Object.keys(signatures), "@keyturn/guard, warm", "fast-jwt, its cache warm"].map((name) => [
      name,
      [],
    ]),
  );
  for (let round = 0; round <= rounds; round++) {
    for (const [name, work] of Object.entries(signatures)) {
      const begun = performance.now();
      await work();
      if (round > 0) rates[name]?.push(tokens.length / ((performance.now() - begun) / 1000));
    }
    const warmTime = warmBlock((token) => isGood(warm.verify(token)), tokens);
    const fastTime = warmBlock(peers.cached, tokens);
    if (round === 0) continue;
    rates["@keyturn/guard, warm"]?.push(200_000 / (warmTime / 1000));
    rates["fast-jwt, its cache warm"]?.push(200_000 / (fastTime / 1000));
  }
  const of = (name: string) => rates[name] ?? [];
  const ratio = (one: string, other: string) =>
    spread(of(one).map((rate, round) => rate / (of(other)[round] ?? 1)));
  const warmRate = spread(of("@keyturn/guard, warm"));
  const [bareRatio, cacheRatio] = [
    ratio("@keyturn/guard, cold", "crypto.verify alone"),
    ratio("@keyturn/guard, warm", "fast-jwt, its cache warm"),
  ];
  const findings: Finding[] = [
    {
      what: "guard, warm cache, one process",
      target: "≥ 1,000,000 a second",
      measured: `${rounded(warmRate.median / 1e6)} million (${rounded(warmRate.min / 1e6)} to ${rounded(warmRate.max / 1e6)})`,
      reached: warmRate.median >= 1e6,
    },
    {
      what: "guard, warm, against fast-jwt's cache",
      target: "≥ 2.00",
      measured: shown(cacheRatio),
      reached: cacheRatio.median >= 2,
    },
    {
      what: "guard, cold, against crypto.verify alone",
      target: "≥ 0.90",
      measured: shown(bareRatio),
      reached: bareRatio.median >= 0.9,
    },
    ...["jsonwebtoken", "jose", "fast-jwt"].map((name) => ({
      what: `guard, cold, against ${name}`,
      target: "none",
      measured: shown(ratio("@keyturn/guard, cold", name)),
      reached: true,
    })),
  ];
  cold.close();
  warm.close();
  return {
    findings,
    rounds,
    tokenBytes: tokens[0]?.length,
    coldRatios: bareRatio,
    cacheRatios: cacheRatio,
    perSecond: Object.fromEntries(Object.entries(rates).map(([name, values]) => [name, spread(values)])),
  };
}

type Verifies = (token: string) => boolean;

interface Verifiers {
  readonly jsonwebtoken: Verifies;
  readonly "fast-jwt": Verifies;
  readonly cached: Verifies;
  readonly jose: (token: string) => Promise<boolean>;
}

/** By an address that is made at run time: what they need is installed when a benchmark is run, and not before. */
async function loadVerifiers(expected: object): Promise<Verifiers> {
  const { verifiers } = await import(new URL("./peers/verifiers.ts", import.meta.url).href);
  return verifiers(expected);
}

/** Every look-up gets a string of its own, as from a socket: none has its hash computed already. */
function warmBlock(verifies: (token: string) => boolean, tokens: readonly string[]): number {
  const buffers = tokens.map((token) => Buffer.from(token, "latin1"));
  let total = 0;
  for (let block = 0; block < 200; block++) {
    const fresh = buffers.map((buffer) => buffer.toString("latin1"));
    total += time(() => {
      for (const token of fresh) mustBe(verifies(token));
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
