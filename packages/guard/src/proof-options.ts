import type { Algorithm } from "./algorithms.ts";
import { readAlgorithms, readNumber } from "./option-values.ts";

/**
 * What is to be thought of a proof's nonce.
 *
 * - `good`: it is ours and fresh. It says when the proof was made, whatever the client's clock says (`iat` is not
 *   looked at).
 * - `by_clock`: it says nothing, because there is none or it is an old one of ours. The proof passes if its `iat` is
 *   within the window; else it is refused with `proof_nonce_needed`, and the client is to come back with a new nonce.
 * - `use_nonce`: refused with `proof_nonce_needed`, whatever `iat` says.
 * - `bad`: refused with `proof_bad_nonce`.
 */
export type NonceVerdict = "good" | "by_clock" | "use_nonce" | "bad";

/** Decides on the nonce of a proof whose signature is good; `issuedAt` is its `iat`, in seconds. */
export type CheckNonce = (nonce: string | undefined, issuedAt: number) => NonceVerdict;

export type ProofOptions = {
  /** Default ES256, EdDSA and Ed25519. Symmetric ones and `none` do not exist here. */
  readonly algorithms?: readonly Algorithm[] | undefined;
  /** How far `iat` may be from our clock, before it or behind. Default 60, at most 3600. */
  readonly windowSeconds?: number | undefined;
  /** Used proofs that are remembered. Default 100,000; 0 turns it off, where a second use does no harm. */
  readonly replayMax?: number | undefined;
  /** Keys of clients that are kept ready. Default 10,000; 0 turns it off. */
  readonly keysMax?: number | undefined;
  /** Without it a nonce is not looked at. An exception of it is passed on. */
  readonly checkNonce?: CheckNonce | undefined;
  /** How long a nonce is `good`: used proofs are remembered at least so long. Default 300, at most 86,400. */
  readonly nonceSeconds?: number | undefined;
  /** Milliseconds since 1970; for tests. */
  readonly now?: (() => number) | undefined;
};

/** Options with every default filled in. */
export type ProofSettings = Readonly<{
  algorithms: ReadonlySet<Algorithm>;
  windowSeconds: number;
  /** How long a used proof could be used again. */
  keepMs: number;
  replayMax: number;
  keysMax: number;
  checkNonce: CheckNonce | undefined;
  nowMs: () => number;
}>;

/** What clients have without asking: WebCrypto in every browser does ES256, the newer ones Ed25519. */
export const defaultProofAlgorithms: readonly Algorithm[] = Object.freeze(["ES256", "EdDSA", "Ed25519"]);

export const replayMaxDefault = 100_000;
export const replayMaxMost = 10_000_000;

/**
 * Fills in the defaults.
 *
 * @throws TypeError that names the option, what it got and what it takes.
 */
export function readProofOptions(options: ProofOptions): ProofSettings {
  const number = (
    name: "windowSeconds" | "replayMax" | "keysMax" | "nonceSeconds",
    range: [number, number],
  ) =>
    readNumber(`createProofVerifier: ${name}`, { value: options[name], fallback: range[0], max: range[1] });
  const windowSeconds = number("windowSeconds", [60, 3600]);
  const nonceSeconds = number("nonceSeconds", [300, 86_400]);
  const { checkNonce } = options;
  return {
    algorithms: readAlgorithms(
      "createProofVerifier: algorithms",
      options.algorithms ?? defaultProofAlgorithms,
    ),
    windowSeconds,
    // A proof from the far end of the window is good for twice its length.
    keepMs: Math.max(2 * windowSeconds, checkNonce === undefined ? 0 : nonceSeconds) * 1000,
    replayMax: number("replayMax", [replayMaxDefault, replayMaxMost]),
    keysMax: number("keysMax", [10_000, 1_000_000]),
    checkNonce,
    nowMs: options.now ?? Date.now,
  };
}
