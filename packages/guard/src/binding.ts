import type { Algorithm } from "./algorithms.ts";
import type { Cryptography } from "./cryptography.ts";
import { createProofVerifierWith } from "./dpop-proof.ts";
import { type MaybePromise, whenThere } from "./maybe-promise.ts";
import type { ProofHeader } from "./proof-form.ts";
import { createProofNonces, nonceSeconds, type ProofNonces } from "./proof-nonces.ts";
import type { RefusalReason } from "./refusal-reason.ts";
import { isBoundOnly, type Requirement } from "./requirement.ts";
import type { VerifiedToken } from "./token-cache.ts";

/**
 * What an API thinks of tokens that are bound to a key (RFC 9449): `accept` takes them with their proof, and Bearer
 * tokens too; `require` takes no others; `off` takes none of them.
 */
export type DpopPolicy = "accept" | "require" | "off";

export type Scheme = "Bearer" | "DPoP";

/** How a request presented its token. */
export type Presentation = {
  readonly scheme: Scheme;
  /** The `DPoP` header. */
  readonly proof?: ProofHeader;
  readonly method?: string | undefined;
  /** The absolute URL of the request; with the guard's `origin` only its path counts. */
  readonly url?: string | undefined;
};

export type Binding = {
  /** The algorithms that proofs may have, as a challenge lists them; undefined when bound tokens are not taken. */
  readonly algorithms: string | undefined;
  /** A nonce for the client's next proof. */
  nonce(): string;
  /** Whether the token and the way it was presented fit each other, the proof included. */
  objection(
    verified: VerifiedToken,
    presented: Presentation | undefined,
    requirement: Requirement | undefined,
  ): MaybePromise<RefusalReason | undefined>;
};

export type BindingSettings = {
  readonly dpop: DpopPolicy;
  readonly origin: string | undefined;
  readonly dpopAlgorithms: ReadonlySet<Algorithm>;
  readonly dpopReplayMax: number;
  readonly clockToleranceSeconds: number;
};

export type BindingParts = {
  readonly cryptography: Cryptography;
  readonly nowMs: () => number;
  /** The process's own when there are none. */
  readonly nonces: ProofNonces | undefined;
};

/** How far the client's clock may be off, besides the tolerance for our own. */
const windowSeconds = 60;

const authorityAndRest = /^https?:\/\/[^/?#]*(.*)$/is;

/** What the client called the URL, as far as is known. */
function seenFromOutside(url: string, origin: string | undefined): string {
  if (origin === undefined) return url;
  const rest = authorityAndRest.exec(url)?.[1];
  return rest === undefined ? "" : origin + rest;
}

/** Decides whether a token's holder holds its key too. */
export function createBinding(settings: BindingSettings, parts: BindingParts): Binding {
  const { dpop, origin, dpopAlgorithms } = settings;
  const { cryptography, nowMs, nonces = createProofNonces(nowMs) } = parts;
  const proofs = {
    algorithms: [...dpopAlgorithms],
    windowSeconds: windowSeconds + settings.clockToleranceSeconds,
    replayMax: settings.dpopReplayMax,
    checkNonce: (nonce: string | undefined, issuedAt: number) => nonces.check(nonce, issuedAt),
    nonceSeconds,
    now: nowMs,
  };
  const verifyProof = createProofVerifierWith(proofs, cryptography);

  return {
    algorithms: dpop === "off" ? undefined : [...dpopAlgorithms].join(" "),
    nonce: () => nonces.current(),
    objection({ keyThumbprint, token }, presented, requirement) {
      const isDpop = presented?.scheme === "DPoP";
      if (isDpop && dpop === "off") return "wrong_scheme";
      if (keyThumbprint === undefined) {
        // With a token that is bound to no key any proof would do: it would pass for bound, and a thief of it need
        // only make a key of his own.
        return isDpop || dpop === "require" || isBoundOnly(requirement) ? "token_not_bound" : undefined;
      }
      // RFC 9449 §7.2: "such a protected resource MUST reject a DPoP-bound access token received as a bearer token".
      if (!isDpop) return "token_bound";
      const { proof, method = "", url = "" } = presented;
      const request = { proof, method, url: seenFromOutside(url, origin), accessToken: token, keyThumbprint };
      return whenThere(verifyProof(request), (check) => (check.ok ? undefined : check.reason));
    },
  };
}
