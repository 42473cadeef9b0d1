import sql, { type Sql } from "sql-template-tag";

/** Of any number at once, one inserts. */
export const insertSpent = (digest: Uint8Array, expiresAt: number): Sql => sql`
  INSERT INTO spent_assertions (digest, expires_at) VALUES (${digest}, ${expiresAt}) ON CONFLICT (digest) DO NOTHING`;

export const deletePastSpent = (at: number, rows: number): Sql => sql`
  DELETE FROM spent_assertions WHERE digest IN
    (SELECT digest FROM spent_assertions WHERE expires_at < ${at} ORDER BY expires_at LIMIT ${rows})`;
