import { encodeBase64url } from "./base64url.ts";
import type { CheckNonce } from "./proof-options.ts";

/** Nonces for DPoP proofs (RFC 9449 §9): what a client is given, and what is thought of one that it sends. */
export type ProofNonces = {
  /** A nonce for the next proof; characters that a quoted header value may hold. */
  current(): string;
  /** A nonce should be `good` for no more than {@link nonceSeconds}: used proofs are surely remembered so long. */
  readonly check: CheckNonce;
};

/** How long a nonce is good, at most; at least half of that. */
export const nonceSeconds = 300;
const randomBytes = 16;

/**
 * Nonces of this process: one at a time, good until the next but one has come. A client whose clock is wrong gets in by
 * one; who sends none, or an old one, is judged by the clock.
 */
export function createProofNonces(nowMs: () => number): ProofNonces {
  const draw = () => encodeBase64url(globalThis.crypto.getRandomValues(new Uint8Array(randomBytes)));
  const halfLifeMs = (nonceSeconds * 1000) / 2;
  let young = "";
  let old = "";
  let drawnAtMs = Number.NEGATIVE_INFINITY;

  /** Both are of the last 300 seconds afterwards. */
  function refresh(): void {
    // Either way: a clock that was set back would never come to the end of the time.
    const age = Math.abs(nowMs() - drawnAtMs);
    if (age < halfLifeMs) return;
    old = age < 2 * halfLifeMs ? young : draw();
    young = draw();
    drawnAtMs = nowMs();
  }

  return {
    current() {
      refresh();
      return young;
    },
    check(nonce) {
      if (nonce === undefined) return "by_clock";
      refresh();
      return nonce === young || nonce === old ? "good" : "by_clock";
    },
  };
}
