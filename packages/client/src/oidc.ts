/** @keyturn/client/oidc: signs in by OpenID Connect, through Keyturn or another provider, and stays signed in. */

export type { CredentialStorage, StoredCredentials } from "./credential-storage.ts";
export type { SignedOutReason } from "./events.ts";
export { indexedDbStorage } from "./indexeddb-storage.ts";
export { KeyturnError } from "./keyturn-error.ts";
export { memoryStorage } from "./memory-storage.ts";
export { createOidcClient, type OidcClient, type OidcEvents } from "./oidc-client.ts";
export type { OidcArrival, OidcSession, OidcSignIn, OidcSignOut, OidcUser } from "./oidc-how.ts";
export type { OidcClientOptions } from "./oidc-options.ts";
export { version } from "./version.ts";
