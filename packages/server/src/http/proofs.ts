import type { KeyObject } from "node:crypto";
import { createProofVerifier, type NonceVerdict, type ProofRefusalReason } from "@keyturn/guard";
import { Refusal } from "../errors.ts";
import type { Clock } from "../primitives/clock.ts";
import { equalBytes } from "../primitives/compare.ts";
import { hmacSha256 } from "../primitives/digest.ts";

type Asking = { header(name: string): string | undefined; readonly method: string; url(): string };

/** A nonce is good for between one and two of these. */
const SLOT_MS = 150_000;
const SLOT_BYTES = 6;
const TAG_BYTES = 16;

export type Proofs = ReturnType<typeof createProofs>;

interface Dependencies {
  /** The nonce key of each master secret. */
  readonly keys: ReadonlyMap<number, KeyObject>;
  readonly currentKeyId: number;
  readonly clock: Clock;
}

/**
 * Proofs of possession, RFC 9449: a client that sends one has its session bound to the key that made it.
 *
 * The time of a proof is told by its `iat`, or by a nonce of ours, so that a client whose clock is wrong by hours gets
 * in at the second try. Used proofs are not remembered: what a second use of one at /refresh would bring is the
 * successor of the same refresh token, which needs another proof, and the turn rules end the session of a token that
 * comes back late.
 */
export function createProofs(dependencies: Dependencies) {
  const { clock } = dependencies;
  const nonces = createNonces(dependencies);
  const verify = createProofVerifier({
    checkNonce: nonces.check,
    nonceSeconds: (2 * SLOT_MS) / 1000,
    replayMax: 0,
    now: () => clock.now(),
  });

  return {
    nonces,

    /**
     * The RFC 7638 thumbprint of the key that the request proves; undefined for a request without a proof.
     * @throws Refusal invalid_dpop_proof, use_dpop_nonce
     */
    async thumbprintOf(request: Asking): Promise<string | undefined> {
      const proof = request.header("dpop");
      if (proof === undefined) return undefined;
      const check = await verify({ proof, method: request.method, url: request.url() });
      if (check.ok) return check.thumbprint;
      throw refusedProof(check.reason, nonces.current());
    },

    /** RFC 9449 §8.2: the header that hands a client the nonce for its next proof. */
    nonceHeader: () => ({ "DPoP-Nonce": nonces.current() }),
  };
}

/** For the OpenAPI document. */
export const proofAbout = {
  about:
    "A proof by the client's key (RFC 9449). A session that was signed in with one is bound to the key: from then on /refresh asks for a proof by it.",
} as const;

/** The session is bound to a key, and the request proved none or another. */
export function wrongKey(): Refusal {
  return new Refusal("invalid_dpop_proof", {
    description:
      "This session is bound to a key. Send a proof by that key in the DPoP header (RFC 9449). Nothing was ended.",
  });
}

function refusedProof(reason: ProofRefusalReason, nonce: string): Refusal {
  const headers = { "DPoP-Nonce": nonce };
  // RFC 9449 §8: "the authorization server responds with an HTTP response including a DPoP-Nonce header and the error
  // use_dpop_nonce".
  if (reason === "proof_nonce_needed") return new Refusal("use_dpop_nonce", { headers });
  return new Refusal("invalid_dpop_proof", { headers });
}

/** Nonces that every node makes and knows: the number of a stretch of time, and an HMAC of it. */
function createNonces({ keys, currentKeyId, clock }: Dependencies) {
  let made: { slot: number; nonce: string } | undefined;
  const slotNow = () => Math.floor(clock.now() / SLOT_MS);

  function nonceOf(slot: number, key: KeyObject): Buffer {
    const bytes = Buffer.alloc(SLOT_BYTES + TAG_BYTES);
    bytes.writeUIntBE(slot, 0, SLOT_BYTES);
    hmacSha256(key, bytes.subarray(0, SLOT_BYTES)).copy(bytes, SLOT_BYTES, 0, TAG_BYTES);
    return bytes;
  }

  return {
    current(): string {
      const slot = slotNow();
      if (made?.slot !== slot) {
        const key = keys.get(currentKeyId);
        if (key === undefined) throw new Error(`Bug in Keyturn: no nonce key ${currentKeyId}`);
        made = { slot, nonce: nonceOf(slot, key).toString("base64url") };
      }
      return made.nonce;
    },

    /** A fresh nonce of ours tells the time; without one, or with an old one, the client's clock has to. */
    check(nonce: string | undefined): NonceVerdict {
      if (nonce === undefined) return "by_clock";
      const given = Buffer.from(nonce, "base64url");
      const slot = given.length === SLOT_BYTES + TAG_BYTES ? given.readUIntBE(0, SLOT_BYTES) : -1;
      const now = slotNow();
      if (slot !== now && slot !== now - 1) return "by_clock";
      const isOurs = [...keys.values()].some((key) => equalBytes(nonceOf(slot, key), given));
      return isOurs ? "good" : "by_clock";
    },
  };
}
