import sql, { type Sql } from "sql-template-tag";
import { consentExists } from "../consents/consents.sql.ts";
import type { Id } from "../primitives/id.ts";

export interface DeviceRow {
  device_digest: Uint8Array;
  user_code_digest: Uint8Array;
  client_id: string;
  scope: string;
  /** Separated by spaces. */
  resources: string | null;
  /** pending, allowed, denied, used */
  state: string;
  /** JSON: who allowed it, and how they had proven who they are. */
  granted: string | null;
  interval_seconds: number;
  polled_at: number | null;
  created_at: number;
  expires_at: number;
  used_at: number | null;
  gave_session: Uint8Array | null;
}

const columns = sql`device_digest, user_code_digest, client_id, scope, resources, state, granted, interval_seconds,
  polled_at, created_at, expires_at, used_at, gave_session`;

/** Changes nothing when the user code is one that waits already. */
export const insertDevice = (row: DeviceRow): Sql => sql`
  INSERT INTO device_authorizations (${columns})
  VALUES (${row.device_digest}, ${row.user_code_digest}, ${row.client_id}, ${row.scope}, ${row.resources},
    ${row.state}, ${row.granted}, ${row.interval_seconds}, ${row.polled_at}, ${row.created_at}, ${row.expires_at},
    ${row.used_at}, ${row.gave_session})
  ON CONFLICT DO NOTHING`;

export const deviceIs = (digest: Uint8Array, state: string): Sql =>
  sql`EXISTS (SELECT 1 FROM device_authorizations WHERE device_digest = ${digest} AND state = ${state})`;

/** Whether it has been let in, and what its user has agreed to still holds. */
export const deviceIsAllowed = (digest: Uint8Array, by: { userId: Id; clientId: string }): Sql =>
  sql`${deviceIs(digest, "allowed")} AND ${consentExists(by.userId, by.clientId)}`;

export const holdDevice = (digest: Uint8Array): Sql =>
  sql`UPDATE device_authorizations SET state = state WHERE device_digest = ${digest}`;

export const selectDevice = (digest: Uint8Array): Sql =>
  sql`SELECT ${columns} FROM device_authorizations WHERE device_digest = ${digest}`;

export const selectByUserCode = (digest: Uint8Array): Sql =>
  sql`SELECT ${columns} FROM device_authorizations WHERE user_code_digest = ${digest}`;

/** What the person decides: once, of any number of tabs. */
export const updateDecided = (decided: {
  userCode: Uint8Array;
  state: "allowed" | "denied";
  granted: string | null;
  at: number;
}): Sql => sql`
  UPDATE device_authorizations SET state = ${decided.state}, granted = ${decided.granted}
  WHERE user_code_digest = ${decided.userCode} AND state = 'pending' AND expires_at > ${decided.at}`;

/** A poll that keeps to the interval: changes nothing when it came too soon. A second is forgiven, networks vary. */
export const updatePolled = (digest: Uint8Array, at: number): Sql => sql`
  UPDATE device_authorizations SET polled_at = ${at}
  WHERE device_digest = ${digest} AND state = 'pending'
    AND (polled_at IS NULL OR polled_at <= ${at} - (interval_seconds - 1) * 1000)`;

/** RFC 8628 §3.5, slow_down: "the interval MUST be increased by 5 seconds for this and all subsequent requests". */
export const updateSlowed = (digest: Uint8Array, slowed: { at: number; most: number }): Sql => sql`
  UPDATE device_authorizations SET polled_at = ${slowed.at},
    interval_seconds = CASE WHEN interval_seconds + 5 > ${slowed.most} THEN interval_seconds
      ELSE interval_seconds + 5 END
  WHERE device_digest = ${digest} AND state = 'pending'`;

/** Spends it: of any number of polls, one. */
export const updateGiven = (
  digest: Uint8Array,
  given: { session: Uint8Array; at: number; onlyIf: Sql },
): Sql => sql`
  UPDATE device_authorizations SET state = 'used', used_at = ${given.at}, gave_session = ${given.session}
  WHERE device_digest = ${digest} AND state = 'allowed' AND ${given.onlyIf}`;

export const deleteDevicesBefore = (at: number, rows: number): Sql => sql`
  DELETE FROM device_authorizations WHERE device_digest IN
    (SELECT device_digest FROM device_authorizations WHERE expires_at < ${at} ORDER BY expires_at LIMIT ${rows})`;
