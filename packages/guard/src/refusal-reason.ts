import type { ProofRefusalReason } from "./proof-refusal-reason.ts";

/** Why, precisely: for the log. The public answer never says more than `error` and `description`. */
export type RefusalReason =
  | ProofRefusalReason
  | "missing"
  | "wrong_scheme"
  | "malformed_header"
  | "malformed"
  | "too_long"
  | "encrypted"
  | "algorithm_not_allowed"
  | "critical_header"
  | "wrong_type"
  | "unknown_key"
  | "bad_signature"
  | "bad_claims"
  | "wrong_issuer"
  | "wrong_audience"
  | "token_bound"
  | "token_not_bound"
  | "expired"
  | "not_yet_valid"
  | "revoked"
  | "reminted"
  | "inactive"
  | "missing_scope"
  | "missing_role"
  | "missing_permission"
  | "authentication_too_old"
  | "authentication_too_weak"
  | "keys_unavailable"
  | "feed_broken"
  | "internal_error";
