import sql, { type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";

export interface ConsentRow {
  client_id: string;
  /** Separated by spaces, as are the resources. */
  scope: string;
  resources: string;
  created_at: number;
  updated_at: number;
}

const columns = sql`client_id, scope, resources, created_at, updated_at`;

export const selectConsent = (userId: Id, clientId: string): Sql =>
  sql`SELECT ${columns} FROM consents WHERE user_id = ${idToBytes(userId)} AND client_id = ${clientId}`;

/** The newest first. */
export const selectConsents = (userId: Id, rows: number): Sql => sql`
  SELECT ${columns} FROM consents WHERE user_id = ${idToBytes(userId)}
  ORDER BY updated_at DESC, client_id LIMIT ${rows}`;

export const putConsent = (consent: {
  userId: Id;
  clientId: string;
  scope: string;
  resources: string;
  at: number;
}): Sql => sql`
  INSERT INTO consents (user_id, ${columns})
  VALUES (${idToBytes(consent.userId)}, ${consent.clientId}, ${consent.scope}, ${consent.resources}, ${consent.at},
    ${consent.at})
  ON CONFLICT (user_id, client_id) DO UPDATE SET scope = excluded.scope, resources = excluded.resources,
    updated_at = excluded.updated_at`;

/** As many characters as are added up; what comes then takes the place of the rest, and people are asked again. */
const ADDED_MAX = 4000;

/**
 * The same without a look before, for a transaction of statements: what is new is put behind what there is. Who reads it
 * takes each once.
 */
export function addConsent(
  consent: { userId: Id; clientId: string; scope: string; resources: string; at: number },
  onlyIf: Sql,
): Sql {
  const added = (column: Sql) => sql`CASE WHEN consents.${column} = excluded.${column} THEN excluded.${column}
      WHEN length(consents.${column}) > ${ADDED_MAX} THEN excluded.${column}
      ELSE consents.${column} || ' ' || excluded.${column} END`;
  return sql`
    INSERT INTO consents (user_id, ${columns})
    SELECT ${idToBytes(consent.userId)}, ${consent.clientId}, ${consent.scope}, ${consent.resources}, ${consent.at},
      ${consent.at} WHERE ${onlyIf}
    ON CONFLICT (user_id, client_id) DO UPDATE SET scope = ${added(sql`scope`)}, resources = ${added(sql`resources`)},
      updated_at = excluded.updated_at`;
}

export const deleteConsent = (userId: Id, clientId: string): Sql =>
  sql`DELETE FROM consents WHERE user_id = ${idToBytes(userId)} AND client_id = ${clientId}`;

/** Whether the user lets the client in: the condition for what rests on it. */
export const consentExists = (userId: Id, clientId: string): Sql =>
  sql`EXISTS (SELECT 1 FROM consents WHERE user_id = ${idToBytes(userId)} AND client_id = ${clientId})`;

export const either = (one: Sql, other: Sql): Sql => sql`(${one}) OR (${other})`;
