import type { BindingKey, KeptKey } from "./keys.ts";
import { isJson } from "./replies.ts";
import type { User } from "./session.ts";

/** What the client keeps of a session. Everything in it is a secret. */
export interface StoredCredentials {
  readonly refreshToken: string;
  readonly sessionId: string;
  readonly user: User;
  /** HMAC-SHA-256, made at sign-in, never sent: makes the attempt keys. Absent where there is no WebCrypto. */
  readonly deviceKey?: KeptKey;
  /** The P-256 key that the session is bound to (RFC 9449). Absent when it is bound to none. */
  readonly dpop?: BindingKey;
  /** By OpenID Connect: the ID token, which the provider wants back when somebody signs out there. */
  readonly idToken?: string;
  /** By OpenID Connect, in a record of its own: sign-ins that have begun. */
  readonly attempts?: readonly Attempt[];
}

/** A sign-in that has left for a provider. */
export interface Attempt extends Pick<StoredCredentials, "deviceKey" | "dpop"> {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly maxAge?: number | undefined;
  readonly returnTo?: string | undefined;
  /** Whether another window waits for it. */
  readonly popup?: boolean | undefined;
}

/**
 * Where the client keeps a session: one record for each `key` (the issuer's address), so that several clients can
 * share a storage. Tabs and processes that share it see one another's writes.
 *
 * Both functions reject when the storage fails. That signs nobody out: the client tries again.
 */
export interface CredentialStorage {
  /** Whether a CryptoKey that is not extractable can be kept. False: the record must be JSON. */
  readonly keepsKeys: boolean;
  /** Whether other tabs of this origin have the same records: the client then coordinates with them. */
  readonly sharedByTabs: boolean;
  /** The record, as it was last written by anybody. */
  read(key: string): Promise<StoredCredentials | undefined>;
  /**
   * Atomically: when the stored refresh token is still `expected` (undefined: there is no record), writes `next`
   * (undefined: removes the record) and resolves to true once it is durable. Otherwise changes nothing and resolves
   * to false.
   */
  replace(key: string, expected: string | undefined, next: StoredCredentials | undefined): Promise<boolean>;
}

/** Storages hold what others wrote: an older version, another program. What is no record counts as none. */
export function readStored(value: unknown): StoredCredentials | undefined {
  const record = value as Partial<StoredCredentials> | undefined;
  const isRecord =
    isJson(record?.user) && typeof record.refreshToken === "string" && typeof record.sessionId === "string";
  return isRecord ? (record as StoredCredentials) : undefined;
}
