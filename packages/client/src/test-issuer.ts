import { Buffer } from "node:buffer";
import { createHash, createPublicKey, verify } from "node:crypto";
import type { JsonKey } from "./keys.ts";

/**
 * The far side of the network: a small Keyturn that keeps to the rules of docs/refresh-tokens.md, and an API. Its
 * clock is its own.
 */

interface Replaced {
  readonly generation: number;
  readonly atMs: number;
  readonly attempt: string | undefined;
}

export interface TestSession {
  readonly id: string;
  readonly username: string;
  generation: number;
  recent: Replaced[];
  endReason?: string;
  thumbprint?: string | undefined;
}

export interface TestRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: each endpoint knows its own
  readonly json: any;
  readonly text: string;
}

export const issuerUrl = "https://auth.example.com";
export const apiUrl = "https://api.example.com";
const graceMs = 30_000;
const attemptMs = 24 * 3600 * 1000;
const recentMax = 4;

const b64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const parse = (text: string | undefined) => JSON.parse(Buffer.from(text ?? "", "base64url").toString());
const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
const refuse = (
  status: number,
  error: string,
  more: { reason?: string; headers?: Record<string, string> } = {},
) => json(status, { error, error_description: `It is ${error}.`, reason: more.reason }, more.headers);

function thumbprint({ crv, kty, x, y }: JsonKey): string {
  return createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
}

export function createTestIssuer(nowMs: () => number) {
  const sessions = new Map<string, TestSession>();
  const seenProofs = new Set<string>();
  let minted = 0;
  const state = {
    accessSeconds: 600,
    /** Set: proofs must carry it. */
    nonce: undefined as string | undefined,
    apiNonce: undefined as string | undefined,
    sessions,
    requests: [] as TestRequest[],
    /** Why a proof was not taken, for the test's message. */
    proofProblems: [] as string[],
    turns: 0,
    end(id: string, reason: string) {
      const session = sessions.get(id);
      if (session) session.endReason ??= reason;
    },
    only(): TestSession {
      const [session, ...others] = sessions.values();
      if (!session || others.length > 0) throw new Error(`${sessions.size} sessions`);
      return session;
    },
    handle,
    thumbprint,
  };

  const refreshToken = ({ id, generation }: TestSession) => `krt_${id}.${generation}`;

  function tokens(session: TestSession) {
    const iat = Math.floor(nowMs() / 1000);
    const claims = { sid: session.id, iat, exp: iat + state.accessSeconds, n: minted++ };
    return {
      accessToken: `${b64({ typ: "at+jwt" })}.${b64(claims)}.sig`,
      refreshToken: refreshToken(session),
      tokenType: session.thumbprint === undefined ? "Bearer" : "DPoP",
      expiresIn: state.accessSeconds,
      refreshExpiresIn: 1_209_600,
      sessionId: session.id,
    };
  }

  /** The thumbprint of the key that the request proves; a refusal when the proof is no good. */
  function proved(request: TestRequest, place: { nonce: string | undefined; accessToken?: string }) {
    const proof = request.headers.get("dpop");
    if (proof === null) return undefined;
    const [header = "", payload = "", signature = ""] = proof.split(".");
    const { typ, alg, jwk } = parse(header);
    const claims = parse(payload);
    // Not by WebCrypto, which works on other threads, while time may pass.
    const key = createPublicKey({ key: jwk, format: "jwk" });
    const bytes = Buffer.from(signature, "base64url");
    const isSigned = verify(
      "sha256",
      Buffer.from(`${header}.${payload}`),
      { key, dsaEncoding: "ieee-p1363" },
      bytes,
    );
    const ath = place.accessToken && createHash("sha256").update(place.accessToken).digest("base64url");
    const problems = {
      form: typ !== "dpop+jwt" || alg !== "ES256" || "d" in jwk || Object.keys(jwk).length !== 4,
      signature: !isSigned,
      htm: claims.htm !== request.method,
      htu: claims.htu !== request.url.origin + request.url.pathname,
      jti: seenProofs.has(claims.jti) || !claims.jti,
      ath: claims.ath !== ath,
      iat: place.nonce === undefined && Math.abs(claims.iat - nowMs() / 1000) > 60,
    };
    seenProofs.add(claims.jti);
    const problem = Object.entries(problems).find(([, isWrong]) => isWrong)?.[0];
    if (problem !== undefined) {
      state.proofProblems.push(`${request.url.pathname}: ${problem}`);
      return refuse(400, "invalid_dpop_proof");
    }
    if (place.nonce !== undefined && claims.nonce !== place.nonce) {
      return refuse(400, "use_dpop_nonce", { headers: { "dpop-nonce": place.nonce } });
    }
    return thumbprint(jwk);
  }

  function login(request: TestRequest): Response {
    const { username, password } = request.json;
    if (password !== "right") return refuse(401, "invalid_credentials");
    const bound = proved(request, { nonce: state.nonce });
    if (bound instanceof Response) return bound;
    const session: TestSession = {
      id: `s${sessions.size}`,
      username,
      generation: 0,
      recent: [],
      thumbprint: bound,
    };
    sessions.set(session.id, session);
    const user = {
      id: `u-${username}`,
      username,
      emailVerified: false,
      roles: [],
      createdAt: "2026-01-01T00:00:00Z",
    };
    return json(200, { ...tokens(session), idToken: "e.e.e", user });
  }

  function find(token: string): { session: TestSession; generation: number } | undefined {
    const [, id = "", generation] = /^krt_(\w+)\.(\d+)$/.exec(token) ?? [];
    const session = sessions.get(id);
    return session && { session, generation: Number(generation) };
  }

  function refresh(request: TestRequest): Response {
    const no = (reason: string) => refuse(401, "invalid_refresh_token", { reason });
    const bound = proved(request, { nonce: state.nonce });
    if (bound instanceof Response) return bound;
    const found = find(request.json.refreshToken);
    if (found === undefined) return no("malformed");
    const { session, generation } = found;
    if (bound !== session.thumbprint) return no("unknown");
    if (session.endReason !== undefined) return no(session.endReason);
    const attempt = request.headers.get("idempotency-key") ?? undefined;
    if (generation > session.generation) return no("unknown");
    if (generation === session.generation) {
      session.generation++;
      session.recent = [{ generation, atMs: nowMs(), attempt }, ...session.recent].slice(0, recentMax);
      state.turns++;
      return json(200, tokens(session));
    }
    const replaced = session.recent.find((entry) => entry.generation === generation);
    if (replaced !== undefined) {
      const ageMs = nowMs() - replaced.atMs;
      if (ageMs <= graceMs) return json(200, tokens(session));
      if (attempt !== undefined && attempt === replaced.attempt) {
        const isDirect = generation === session.generation - 1 && ageMs < attemptMs;
        return isDirect ? json(200, tokens(session)) : no("superseded");
      }
    }
    session.endReason = "reused";
    return no("reused");
  }

  function logout(request: TestRequest): Response {
    const found = find(request.json.refreshToken);
    if (found === undefined) return refuse(401, "invalid_refresh_token", { reason: "malformed" });
    const { session, generation } = found;
    if (request.json.everywhere && session.endReason === undefined) {
      if (generation !== session.generation) {
        return refuse(401, "invalid_refresh_token", { reason: "superseded" });
      }
      for (const other of sessions.values()) other.endReason ??= "revoked";
    }
    session.endReason ??= "revoked";
    return new Response(null, { status: 204 });
  }

  function api(request: TestRequest): Response {
    const [scheme, token = ""] = (request.headers.get("authorization") ?? "").split(" ");
    if (token === "") return refuse(401, "missing_token");
    if (scheme !== "Bearer" && scheme !== "DPoP") return refuse(401, "invalid_token");
    const { sid, exp } = parse(token.split(".")[1]);
    const session = sessions.get(sid);
    const isGood = session !== undefined && session.endReason === undefined && nowMs() / 1000 < exp;
    if (!isGood || (scheme === "DPoP") !== (session.thumbprint !== undefined))
      return refuse(401, "invalid_token");
    const bound = proved(request, { nonce: state.apiNonce, accessToken: token });
    if (bound instanceof Response) {
      const nonce = bound.headers.get("dpop-nonce");
      return refuse(401, nonce ? "use_dpop_nonce" : "invalid_dpop_proof", {
        headers: {
          "www-authenticate": `DPoP error="${nonce ? "use_dpop_nonce" : "invalid_dpop_proof"}"`,
          ...(nonce && { "dpop-nonce": nonce }),
        },
      });
    }
    if (bound !== session.thumbprint) return refuse(401, "invalid_token");
    return json(200, { username: session.username, sid, echo: request.text });
  }

  async function handle(request: TestRequest): Promise<Response> {
    state.requests.push(request);
    if (request.url.origin !== issuerUrl) return api(request);
    switch (`${request.method} ${request.url.pathname}`) {
      case "POST /login":
        return login(request);
      case "POST /refresh":
        return refresh(request);
      case "POST /logout":
        return logout(request);
      default:
        return api(request);
    }
  }

  return state;
}
