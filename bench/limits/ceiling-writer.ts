import { DatabaseSync } from "node:sqlite";
import { type MessagePort, parentPort } from "node:worker_threads";

/** Of an access token. */
export const SECONDS = 600;

/** What the reply needs of the row. */
export interface Turned {
  readonly userId: Uint8Array;
  readonly amr: string;
  readonly authenticatedAt: number;
  readonly expiresAt: number;
}

/** As durable as the server's: a write-ahead log, flushed at every commit. */
export function openFile(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384");
  return database;
}

/** The thread that writes: a message of turns, one transaction, one statement a turn. */
export function writeTurns(path: string): void {
  const port = parentPort as MessagePort;
  const database = openFile(path);
  const update = database.prepare(
    `UPDATE sessions SET generation = generation + 1, digest = ?, recent = CAST(? || coalesce(substr(recent, 1, 81), x'') AS BLOB),
       last_used_at = ?
     WHERE id = ? AND generation = ? AND digest = ? AND revoked_at IS NULL AND expires_at > ?
     RETURNING user_id, amr, authenticated_at, expires_at`,
    { returnArrays: true },
  );
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const bytesATurn = 100;
  port.on("message", (message: ArrayBuffer) => {
    const bytes = Buffer.from(message);
    const now = Date.now();
    begin.run();
    const rows: (Turned | undefined)[] = [];
    for (let at = 0; at < bytes.length; at += bytesATurn) {
      const recent = Buffer.allocUnsafe(27);
      bytes.copy(recent, 0, at + 16, at + 20);
      recent[4] = 1;
      recent.writeUIntBE(now, 5, 6);
      bytes.copy(recent, 11, at + 84, at + 100);
      const [row] = update.all(
        bytes.subarray(at + 52, at + 84),
        recent,
        now,
        bytes.subarray(at, at + 16),
        bytes.readUInt32BE(at + 16),
        bytes.subarray(at + 20, at + 52),
        now,
      ) as unknown as [Uint8Array, string, number, number][];
      rows.push(row && { userId: row[0], amr: row[1], authenticatedAt: row[2], expiresAt: row[3] });
    }
    commit.run();
    port.postMessage(rows);
  });
}
