import sql, { type Sql } from "sql-template-tag";

/** What tests look at, and do to, past the rooms. */

export interface KeptSeal {
  identity_id: Uint8Array;
  sealed: Uint8Array;
}

export const selectSeals = sql`SELECT identity_id, sealed FROM provider_tokens`;

export const putSeal = ({ identity_id }: KeptSeal, sealed: Uint8Array): Sql =>
  sql`UPDATE provider_tokens SET sealed = ${sealed} WHERE identity_id = ${identity_id}`;

export const leaseAll = (until: number): Sql => sql`UPDATE provider_tokens SET renewing_until = ${until}`;
