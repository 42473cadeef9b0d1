import { createPublicKey, type KeyObject, verify, type webcrypto } from "node:crypto";
import { createGuard } from "@keyturn/guard";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { type Finding, ratios, rounded, shown, spread } from "./figures.ts";

const issuer = "https://issuer.example";
const audience = "https://api.example";

interface Verifiers {
  readonly cold: Readonly<Record<string, Verify>>;
  readonly warm: Readonly<Record<string, Verify>>;
  close(): void;
}
type Verify = (token: string) => unknown;

/**
 * The guard in this process, against `crypto.verify` alone and against what else verifies tokens, all of them on the
 * same tokens, block by block in turn.
 */
export async function benchVerify({ rounds = 15 } = {}) {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: "1", alg: "ES256", use: "sig" };
  const source = { jwks: () => ({ keys: [jwk] }) };
  const tokens = await Promise.all(Array.from({ length: 1000 }, (_, index) => mint(privateKey, index)));
  const cold = createGuard({ issuer, audience, source, cacheTokensMax: 0 });
  const warm = createGuard({ issuer, audience, source });
  await Promise.all([cold.ready(), warm.ready()]);
  const peers = await peerVerifiers(jwk);
  await refuseBad(peers, tokens[0] ?? "");
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const bare = tokens.map((token) => bareParts(token));
  const coldRatios: number[] = [];
  const rates: Record<string, number[]> = {};
  const note = (name: string, rate: number) => {
    rates[name] = [...(rates[name] ?? []), rate];
  };
  for (let round = 0; round <= rounds; round++) {
    const bareTime = time(() => {
      for (const parts of bare) mustBe(verifyBare(parts, key));
    });
    const coldTime = time(() => {
      for (const token of tokens) mustBe(isGood(cold.verify(token)));
    });
    const warmTime = warmBlock((token) => mustBe(isGood(warm.verify(token))), tokens);
    const peerTimes = new Map<string, number>();
    for (const [name, verifyOne] of Object.entries(peers.cold))
      peerTimes.set(name, await timeOfAll(verifyOne, tokens));
    for (const [name, verifyOne] of Object.entries(peers.warm))
      peerTimes.set(name, warmBlock(verifyOne, tokens) / warmBlocks);
    if (round === 0) continue;
    coldRatios.push(bareTime / coldTime);
    note("crypto.verify alone", tokens.length / (bareTime / 1000));
    note("guard, cold", tokens.length / (coldTime / 1000));
    note("guard, warm", (warmBlocks * tokens.length) / (warmTime / 1000));
    for (const [name, peerTime] of peerTimes) note(name, tokens.length / (peerTime / 1000));
  }
  cold.close();
  warm.close();
  peers.close();
  const against = (own: string, name: string) => spread(ratios(rates[own] ?? [], rates[name] ?? []));
  const warmRates = spread(rates["guard, warm"] ?? []);
  const findings: Finding[] = [
    {
      what: "guard, warm cache, one process",
      target: "≥ 1,000,000 a second",
      measured: `${rounded(warmRates.median / 1e6)} million (${rounded(warmRates.min / 1e6)} to ${rounded(warmRates.max / 1e6)})`,
      reached: warmRates.median >= 1e6,
    },
    ...Object.keys(peers.warm).map((name): Finding => {
      const ratio = against("guard, warm", name);
      return {
        what: `guard, warm, against ${name}`,
        target: "≥ 2.00",
        measured: shown(ratio),
        reached: ratio.median >= 2,
      };
    }),
    {
      what: "guard, cold, against crypto.verify alone",
      target: "≥ 0.90",
      measured: shown(spread(coldRatios)),
      reached: spread(coldRatios).median >= 0.9,
    },
    ...Object.keys(peers.cold).map((name): Finding => {
      const ratio = against("guard, cold", name);
      return {
        what: `guard, cold, against ${name}`,
        target: "≥ 1.00",
        measured: shown(ratio),
        reached: ratio.median >= 1,
      };
    }),
  ];
  return {
    findings,
    rounds,
    tokenBytes: tokens[0]?.length,
    coldRatios: spread(coldRatios),
    perSecond: Object.fromEntries(Object.entries(rates).map(([name, all]) => [name, spread(all)])),
  };
}

/** By a name that only this knows: the libraries are installed by `npm run bench` alone. */
async function peerVerifiers(jwk: object): Promise<Verifiers> {
  const { href } = new URL("./peers/verifiers.ts", import.meta.url);
  const { makeVerifiers } = (await import(href)) as {
    makeVerifiers(given: { jwk: object; issuer: string; audience: string }): Promise<Verifiers>;
  };
  return makeVerifiers({ jwk, issuer, audience });
}

/** Each of them looks: a token with another signature is refused. */
async function refuseBad(peers: Verifiers, token: string): Promise<void> {
  const at = token.length - 20;
  const damaged = `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`;
  for (const [name, verifyOne] of Object.entries({ ...peers.cold, ...peers.warm })) {
    await verifyOne(token);
    const isRefused = await Promise.resolve()
      .then(() => verifyOne(damaged))
      .then(() => false)
      .catch(() => true);
    if (!isRefused) throw new Error(`${name} takes a token with another signature`);
  }
}

async function timeOfAll(verifyOne: Verify, tokens: readonly string[]): Promise<number> {
  const begun = performance.now();
  for (const token of tokens) {
    const verified = verifyOne(token);
    if (verified instanceof Promise) await verified;
  }
  return performance.now() - begun;
}

const warmBlocks = 200;

/** Every look-up gets a string of its own, as from a socket: none has its hash computed already. */
function warmBlock(verifyOne: Verify, tokens: readonly string[]): number {
  const buffers = tokens.map((token) => Buffer.from(token, "latin1"));
  let total = 0;
  for (let block = 0; block < warmBlocks; block++) {
    const fresh = buffers.map((buffer) => buffer.toString("latin1"));
    total += time(() => {
      for (const token of fresh) verifyOne(token);
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
