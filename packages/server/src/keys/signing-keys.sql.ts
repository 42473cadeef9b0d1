import sql, { type Sql } from "sql-template-tag";
import type { SigningAlgorithm } from "../config-schema.ts";
import type { KeyState } from "./signing-key.ts";

export interface KeyRow {
  readonly id: string;
  readonly algorithm: SigningAlgorithm;
  readonly state: KeyState;
  readonly public_jwk: string;
  readonly sealed_private_key: Uint8Array | null;
  readonly created_at: number;
  readonly current_at: number | null;
  readonly retiring_at: number | null;
  readonly retired_at: number | null;
}

/** Published keys in the order of the key set, the same on every node. */
export function selectPublishedKeys(): Sql {
  return sql`
    SELECT id, algorithm, state, public_jwk, sealed_private_key, created_at, current_at, retiring_at, retired_at
    FROM signing_keys WHERE state <> 'retired' ORDER BY created_at, id`;
}

/** The public half of a key, whatever has become of it. */
export const selectPublicKey = (id: string): Sql =>
  sql`SELECT algorithm, public_jwk FROM signing_keys WHERE id = ${id}`;

export const selectKeyState = (id: string): Sql =>
  sql`SELECT algorithm, state FROM signing_keys WHERE id = ${id}`;

/** Keys of all states, those in use first, then the newest. */
export function selectAllKeys(rows: number): Sql {
  return sql`
    SELECT id, algorithm, state, public_jwk, NULL AS sealed_private_key, created_at, current_at, retiring_at, retired_at
    FROM signing_keys
    ORDER BY CASE WHEN state = 'retired' THEN 1 ELSE 0 END, created_at DESC, id LIMIT ${rows}`;
}

export interface NewKey {
  readonly id: string;
  readonly algorithm: SigningAlgorithm;
  readonly publicJwk: string;
  readonly sealedPrivateKey: Uint8Array;
  readonly at: number;
}

/** Changes nothing when the algorithm has a key in that state: of two that add one, the first wins. */
export function insertKey(key: NewKey, state: "current" | "next"): Sql {
  return sql`
    INSERT INTO signing_keys (id, algorithm, state, public_jwk, sealed_private_key, created_at, current_at)
    VALUES (${key.id}, ${key.algorithm}, ${state}, ${key.publicJwk}, ${key.sealedPrivateKey}, ${key.at},
      ${state === "current" ? key.at : null})
    ON CONFLICT DO NOTHING`;
}

/**
 * Current → retiring, and its private key is gone: of two that rotate, the first wins, the other changes
 * nothing. Nobody needs a private key that no longer signs: a node that has not noticed yet has it in memory,
 * and a node that starts signs with the new one.
 */
export function retireCurrentKey(id: string, at: number): Sql {
  return sql`
    UPDATE signing_keys SET state = 'retiring', retiring_at = ${at}, sealed_private_key = NULL
    WHERE id = ${id} AND state = 'current'`;
}

export function promoteNextKey(id: string, at: number): Sql {
  return sql`UPDATE signing_keys SET state = 'current', current_at = ${at} WHERE id = ${id} AND state = 'next'`;
}

/** Changes nothing when the key is no longer in the state that the caller saw. */
export function retireKey(change: { id: string; from: "retiring" | "next"; at: number }): Sql {
  return sql`
    UPDATE signing_keys SET state = 'retired', retired_at = ${change.at}, sealed_private_key = NULL
    WHERE id = ${change.id} AND state = ${change.from}`;
}

/** Changes nothing when the private key is no longer the one that was opened: erased, or sealed by another node. */
export function resealKey(id: string, sealed: { before: Uint8Array; after: Uint8Array }): Sql {
  return sql`
    UPDATE signing_keys SET sealed_private_key = ${sealed.after}
    WHERE id = ${id} AND sealed_private_key = ${sealed.before}`;
}
