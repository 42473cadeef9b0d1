import sql, { join, type Sql } from "sql-template-tag";

/** `full_at`: when the bucket is full again, milliseconds since 1970. A bucket without a row is full. */
export interface BucketRow {
  id: Uint8Array;
  full_at: number;
}

/**
 * Takes one from a bucket, if one is there. Who wins: each of any number of statements at once sees what the one
 * before it has left, so that never more than the burst succeed. `changes` is 1 for a winner and 0 for all others.
 * @param take `intervalMs`: in which one comes back; `latestMs`: the bucket holds one if it is full by then;
 *   `possibleMs`: if it is full later than that, it is as if it had no row
 */
export function takeOne(take: {
  id: Uint8Array;
  now: number;
  intervalMs: number;
  latestMs: number;
  possibleMs: number;
}): Sql {
  const { id, now, intervalMs, latestMs, possibleMs } = take;
  return sql`
    INSERT INTO rate_limits (id, full_at) VALUES (${id}, ${now + intervalMs})
    ON CONFLICT (id) DO UPDATE SET
      full_at = CASE WHEN rate_limits.full_at > ${now} AND rate_limits.full_at <= ${possibleMs}
        THEN rate_limits.full_at + ${intervalMs} ELSE ${now + intervalMs} END
    WHERE rate_limits.full_at <= ${latestMs} OR rate_limits.full_at > ${possibleMs}`;
}

/** Puts one back. A bucket that has filled up meanwhile stays full. */
export function giveBack(give: { id: Uint8Array; now: number; intervalMs: number }): Sql {
  return sql`UPDATE rate_limits SET full_at = full_at - ${give.intervalMs} WHERE id = ${give.id} AND full_at > ${give.now}`;
}

export function selectBuckets(ids: readonly Uint8Array[]): Sql {
  return sql`SELECT id, full_at FROM rate_limits WHERE id IN (${join([...ids])})`;
}

/** Sets when a row may be forgotten; never to an earlier time. */
export function keepUntil(id: Uint8Array, until: number): Sql {
  return sql`
    INSERT INTO rate_limits (id, full_at) VALUES (${id}, ${until})
    ON CONFLICT (id) DO UPDATE SET full_at = ${until} WHERE rate_limits.full_at < ${until}`;
}

/** A slice of the rows that say nothing any more, in the order of the keys. */
export function deleteFullRows(now: number, rows: number): Sql {
  return sql`
    DELETE FROM rate_limits WHERE full_at <= ${now}
      AND id IN (SELECT id FROM rate_limits WHERE full_at <= ${now} LIMIT ${rows})`;
}
