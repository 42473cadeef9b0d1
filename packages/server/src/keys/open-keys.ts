import type { KeyObject } from "node:crypto";
import { settingNotes } from "../config-notes.ts";
import type { SigningAlgorithm } from "../config-schema.ts";
import { type Jwks, makeJwks, type PublicJwk, parsePublicJwk, publicJwk } from "./jwks.ts";
import { decodePrivateKey, encodePrivateKey, generatePrivateKey } from "./key-pairs.ts";
import type { Secrets } from "./secrets.ts";
import type { SigningKey } from "./signing-key.ts";
import type { KeyRow, NewKey } from "./signing-keys.sql.ts";

/** What a node holds in memory. Made anew when the rows change, never changed. */
export interface OpenKeys {
  readonly current: ReadonlyMap<SigningAlgorithm, SigningKey>;
  readonly jwks: Jwks;
  /** One sentence for each row that is damaged, or that no master secret opens. */
  readonly problems: readonly string[];
  /** Equal for equal rows. */
  readonly version: string;
}

/** A sealed key opens for its own row only: one copied to another row stays closed. */
const contextOf = (id: string) => `signing-key:${id}`;

export function versionOf(rows: readonly KeyRow[]): string {
  return rows.map((row) => `${row.id} ${row.state}`).join(", ");
}

/**
 * Opens the private keys of the current rows, and publishes all rows.
 * @param before what is in memory: while a changed master secret reaches one node after the other, a node that
 *   cannot open a new current key goes on with the one it has, which is published as long as it is retiring
 */
export function openKeys(rows: readonly KeyRow[], secrets: Secrets, before?: OpenKeys): OpenKeys {
  const current = new Map<SigningAlgorithm, SigningKey>();
  const published: PublicJwk[] = [];
  const problems: string[] = [];
  for (const row of rows) {
    const signs = row.state === "current" || row.state === "next";
    const privateKey = signs ? openPrivateKey(row, secrets) : undefined;
    if (signs && privateKey === undefined) problems.push(cannotOpen(row));
    const known = before?.current.get(row.algorithm);
    if (row.state === "current") {
      const kept = known && (known.id === row.id || privateKey === undefined) ? known : undefined;
      const opened = privateKey && { id: row.id, algorithm: row.algorithm, privateKey };
      const key = kept ?? opened;
      if (key) current.set(row.algorithm, key);
    }
    const jwk = privateKey ? publicJwk(privateKey, row.algorithm) : parsePublicJwk(row.public_jwk, row);
    if (jwk) published.push(jwk);
    else problems.push(`The public half of the signing key ${row.id} is damaged: it is not published.`);
  }
  return { current, jwks: makeJwks(published), problems, version: versionOf(rows) };
}

/** Undefined: no master secret opens it, it is damaged, or it is another row's. */
export function openPrivateKey(row: KeyRow, secrets: Secrets): KeyObject | undefined {
  const bytes = row.sealed_private_key && secrets.unseal(row.sealed_private_key, contextOf(row.id));
  const key = bytes ? decodePrivateKey(bytes) : undefined;
  return key && publicJwk(key, row.algorithm).kid === row.id ? key : undefined;
}

/** The private key under the current master secret; undefined when it is already, or cannot be opened. */
export function resealed(row: KeyRow, secrets: Secrets): Buffer | undefined {
  if (row.sealed_private_key === null || secrets.isSealedByCurrent(row.sealed_private_key)) return undefined;
  const key = openPrivateKey(row, secrets);
  return key && secrets.seal(encodePrivateKey(key), contextOf(row.id));
}

/**
 * A new key, sealed, ready to be stored. None whose name begins with a hyphen, as one of 64 would: on a command line
 * it would be read as an option, in the very moment in which a leaked key has to be withdrawn.
 */
export async function makeKey(algorithm: SigningAlgorithm, secrets: Secrets): Promise<Omit<NewKey, "at">> {
  let privateKey: KeyObject;
  let jwk: PublicJwk;
  do {
    privateKey = await generatePrivateKey(algorithm);
    jwk = publicJwk(privateKey, algorithm);
  } while (jwk.kid.startsWith("-"));
  const sealedPrivateKey = secrets.seal(encodePrivateKey(privateKey), contextOf(jwk.kid));
  return { id: jwk.kid, algorithm, publicJwk: JSON.stringify(jwk), sealedPrivateKey };
}

/** What to tell the operator about a key that cannot be opened, in one line. */
export function cannotOpen(row: Pick<KeyRow, "id" | "algorithm" | "state">): string {
  return (
    `${settingNotes.secret.variable}: no master secret opens the ${row.state} signing key ${row.id} (${row.algorithm}). ` +
    "Give the secret that closed it, behind the new one if it was changed (new,old). " +
    "If only this key is damaged, run: keyturn key rotate --now. " +
    "If the secret is lost for good, delete the rows of the table signing_keys: new keys are made, and everybody signs in again."
  );
}
