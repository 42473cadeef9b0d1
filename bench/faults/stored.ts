import { idFromBytes } from "../../packages/server/src/primitives/id.ts";
import { openDatabase } from "../../packages/server/src/storage/open.ts";
import type { StoredSession } from "./judgement.ts";

interface Row {
  id: Uint8Array;
  generation: number;
  digest: Uint8Array;
  revoked_at: number | null;
}

const text = "SELECT id, generation, digest, revoked_at FROM sessions";

/** Every session as the database has it. */
export async function storedSessions(url: string): Promise<Map<string, StoredSession>> {
  const database = await openDatabase({ url });
  try {
    const rows = await database.all<Row>({ sql: text, text, values: [] });
    return new Map(
      rows.map((row) => [
        idFromBytes(row.id),
        {
          generation: row.generation,
          digest: Buffer.from(row.digest).toString("hex"),
          isRevoked: row.revoked_at !== null,
        },
      ]),
    );
  } finally {
    await database.close();
  }
}
