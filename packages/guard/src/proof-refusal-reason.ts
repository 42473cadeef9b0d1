/** Why a DPoP proof is no good: for the log. `proof_nonce_needed` is the one that the client can mend with a nonce. */
export type ProofRefusalReason =
  | "proof_missing"
  | "proof_repeated"
  | "proof_too_long"
  | "proof_malformed"
  | "proof_wrong_type"
  | "proof_algorithm_not_allowed"
  | "proof_bad_key"
  | "proof_wrong_key"
  | "proof_bad_signature"
  | "proof_bad_claims"
  | "proof_wrong_method"
  | "proof_wrong_url"
  | "proof_wrong_token"
  | "proof_bad_nonce"
  | "proof_nonce_needed"
  | "proof_out_of_time"
  | "proof_replayed";
