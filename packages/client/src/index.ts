/** @keyturn/client: signs in and stays signed in, in a browser or in Node. */

export {
  type Client,
  type ClientEvents,
  type Credentials,
  createClient,
  type SignedOutReason,
} from "./client.ts";
export type { CredentialStorage, KeptKey, StoredCredentials } from "./credential-storage.ts";
export { indexedDbStorage } from "./indexeddb-storage.ts";
export { KeyturnError } from "./keyturn-error.ts";
export { memoryStorage } from "./memory-storage.ts";
export type { ClientOptions } from "./options.ts";
export type { Session, User } from "./session.ts";
export { version } from "./version.ts";
