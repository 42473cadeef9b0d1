/** @keyturn/client: signs in and stays signed in, in a browser or in Node. */

export { type Client, createClient } from "./client.ts";
export type { CredentialStorage, StoredCredentials } from "./credential-storage.ts";
export type { ClientEvents, SignedOutReason } from "./events.ts";
export type {
  AddedPasskey,
  Credentials,
  NewConnection,
  NewPasskey,
  PasskeySignIn,
  Proof,
  Provider,
  ProviderSignIn,
  RecoverySignIn,
  SecondStep,
  SecondStepMethod,
  SignInOptions,
} from "./how.ts";
export { indexedDbStorage } from "./indexeddb-storage.ts";
export type { BindingKey, JsonKey, KeptKey } from "./keys.ts";
export { KeyturnError } from "./keyturn-error.ts";
export { memoryStorage } from "./memory-storage.ts";
export type { SignOutOptions } from "./mode.ts";
export type { ClientOptions } from "./options.ts";
export type { Session, User } from "./session.ts";
export { version } from "./version.ts";
