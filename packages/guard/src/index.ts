/** @keyturn/guard: verifies access tokens in an API: offline, fast, revocable at once. */

export type { RouteRequirement } from "./admission.ts";
export type { Algorithm } from "./algorithms.ts";
export type { DpopPolicy, Presentation, Scheme } from "./binding.ts";
export type { TokenType } from "./claims.ts";
export {
  createProofVerifier,
  type ProofCheck,
  type ProofRequest,
  type ProofVerifier,
} from "./dpop-proof.ts";
export type { FeedProblem, GuardEvent } from "./events.ts";
export type { FeedState, FeedStatus } from "./feed.ts";
export type { FeedEvent } from "./feed-events.ts";
export type { ResourceCredentials } from "./feed-request.ts";
export { createGuard, type Guard, type Verification } from "./guard.ts";
export { type Identity, identityOf } from "./identity.ts";
export type { PublicJsonWebKey } from "./json-web-key.ts";
export type { GuardOptions, GuardSource, PublicKeySet } from "./options.ts";
export type { ProofHeader } from "./proof-form.ts";
export type { ProofNonces } from "./proof-nonces.ts";
export type { CheckNonce, NonceVerdict, ProofOptions } from "./proof-options.ts";
export type { ProofRefusalReason } from "./proof-refusal-reason.ts";
export { type Refusal, type RefusalError, refusalBody } from "./refusal.ts";
export type { RefusalReason } from "./refusal-reason.ts";
export type { FeedPolicy, Requirement } from "./requirement.ts";
export type {
  ResourceMetadata,
  ResourceMetadataDocument,
  ResourceMetadataOptions,
} from "./resource-metadata.ts";
export type { RevocationEntry } from "./revocations.ts";
