/*
 * Where oidc-provider keeps its rows. Its interface is upsert, find, consume and destroy, each of one row; a refresh is
 * find (token), find (grant), consume (old token), upsert (new token).
 *
 * On SQLite as durable as Keyturn is: write-ahead log, flushed at every commit; prepared statements, one connection,
 * the same cache. The interface knows no transaction: so that the two writes of a refresh are one, the first is held
 * back in the request's context until the second comes (or the request ends). `sqlite` commits once a request, which is
 * what the interface leads to. `sqlite-grouped` goes as far as one can go beneath it: requests of a moment share a
 * commit.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

type Payload = Record<string, unknown> & { grantId?: string; uid?: string; userCode?: string };

const now = () => Math.floor(Date.now() / 1000);

interface Storage {
  adapter(model: string): object;
  middleware(context: unknown, next: () => Promise<void>): Promise<void>;
  /** What is done before there is load; on SQLite in one transaction. */
  filling(work: () => Promise<void>): Promise<void>;
  close(): void;
}

/** A Map, without an end of what it takes: rows that are over stay in it, as nothing here lives long enough. */
export function memoryStorage(): Storage {
  const rows = new Map<string, Payload>();
  const byGrant = new Map<string, string[]>();
  return {
    adapter(model) {
      const keyOf = (id: string) => `${model}:${id}`;
      return {
        upsert: async (id: string, payload: Payload) => {
          rows.set(keyOf(id), payload);
          if (payload.grantId === undefined) return;
          const members = byGrant.get(payload.grantId);
          if (members === undefined) byGrant.set(payload.grantId, [keyOf(id)]);
          else members.push(keyOf(id));
        },
        find: async (id: string) => rows.get(keyOf(id)),
        findByUid: async () => undefined,
        findByUserCode: async () => undefined,
        consume: async (id: string) => {
          const row = rows.get(keyOf(id));
          if (row !== undefined) row.consumed = now();
        },
        destroy: async (id: string) => void rows.delete(keyOf(id)),
        revokeByGrantId: async (grantId: string) => {
          for (const key of byGrant.get(grantId) ?? []) rows.delete(key);
          byGrant.delete(grantId);
        },
      };
    },
    middleware: (_context, next) => next(),
    filling: (work) => work(),
    close: () => {},
  };
}

type Write = () => void;

export function sqliteStorage({ grouped }: { grouped: boolean }): Storage {
  const folder = mkdtempSync(join(tmpdir(), "bench-oidc-provider-"));
  const database = new DatabaseSync(join(folder, "rows.db"));
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16000");
  database.exec(`
    CREATE TABLE rows (
      key TEXT NOT NULL PRIMARY KEY, payload TEXT NOT NULL, grant_id TEXT, consumed INTEGER, expires_at INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX rows_by_grant ON rows (grant_id) WHERE grant_id IS NOT NULL`);
  const insert = database.prepare(`
    INSERT INTO rows (key, payload, grant_id, expires_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at`);
  const select = database.prepare("SELECT payload, consumed FROM rows WHERE key = ? AND expires_at > ?");
  const consume = database.prepare("UPDATE rows SET consumed = ? WHERE key = ?");
  const remove = database.prepare("DELETE FROM rows WHERE key = ?");
  const removeOfGrant = database.prepare("DELETE FROM rows WHERE grant_id = ?");
  const begin = database.prepare("BEGIN IMMEDIATE");
  const end = database.prepare("COMMIT");
  const heldBack = new AsyncLocalStorage<Write[]>();
  let isFilling = false;
  let waiting: { writes: Write[]; done(): void }[] = [];

  function commitAll(batch: readonly (readonly Write[])[]): void {
    begin.run();
    for (const writes of batch) for (const write of writes) write();
    end.run();
  }

  async function commit(write?: Write): Promise<void> {
    const writes = [...(heldBack.getStore()?.splice(0) ?? []), ...(write === undefined ? [] : [write])];
    if (isFilling) for (const one of writes) one();
    else if (!grouped) commitAll([writes]);
    else await shared(writes);
  }

  function shared(writes: Write[]): Promise<void> {
    return new Promise((done) => {
      if (waiting.length === 0)
        setImmediate(() => {
          const batch = waiting;
          waiting = [];
          commitAll(batch.map((one) => one.writes));
          for (const one of batch) one.done();
        });
      waiting.push({ writes, done });
    });
  }

  return {
    adapter(model) {
      const keyOf = (id: string) => `${model}:${id}`;
      return {
        upsert: (id: string, payload: Payload, seconds: number) =>
          commit(() => {
            insert.run(keyOf(id), JSON.stringify(payload), payload.grantId ?? null, now() + seconds);
          }),
        find: async (id: string) => {
          const row = select.get(keyOf(id), now()) as
            | { payload: string; consumed: number | null }
            | undefined;
          if (row === undefined) return undefined;
          const payload = JSON.parse(row.payload);
          return row.consumed === null ? payload : { ...payload, consumed: row.consumed };
        },
        findByUid: async () => undefined,
        findByUserCode: async () => undefined,
        consume: async (id: string) => {
          const write = () => void consume.run(now(), keyOf(id));
          const held = heldBack.getStore();
          if (held === undefined) await commit(write);
          else held.push(write);
        },
        destroy: (id: string) => commit(() => void remove.run(keyOf(id))),
        revokeByGrantId: (grantId: string) => commit(() => void removeOfGrant.run(grantId)),
      };
    },
    middleware: (_context, next) =>
      heldBack.run([], async () => {
        await next();
        if ((heldBack.getStore()?.length ?? 0) > 0) await commit();
      }),
    async filling(work) {
      isFilling = true;
      database.exec("BEGIN");
      await work();
      database.exec("COMMIT");
      isFilling = false;
    },
    close() {
      database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
