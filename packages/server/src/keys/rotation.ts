import { auditStatement } from "../audit/audit.ts";
import type { Actor, AuditEventType } from "../audit/events.ts";
import { WrongSetting } from "../config.ts";
import type { SigningAlgorithm } from "../config-schema.ts";
import type { Clock } from "../primitives/clock.ts";
import type { Database, Transaction } from "../storage/database.ts";
import { cannotOpen, makeKey, openPrivateKey, resealed } from "./open-keys.ts";
import { RETIRING_KEYS_MAX, readyAt, retiredFrom, type ScheduleSettings } from "./schedule.ts";
import type { Secrets } from "./secrets.ts";
import type { RotateOutcome, WithdrawOutcome } from "./signing-key.ts";
import {
  insertKey,
  type KeyRow,
  type NewKey,
  promoteNextKey,
  resealKey,
  retireCurrentKey,
  retireKey,
  selectKeyState,
  selectPublishedKeys,
} from "./signing-keys.sql.ts";

export interface RotationParts {
  readonly database: Database;
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly settings: ScheduleSettings;
}

export interface RotationRequest {
  readonly algorithm: SigningAlgorithm;
  readonly actor: Actor;
  /** Does not wait until verifiers know the next key. */
  readonly immediately: boolean;
}

/** Thrown inside a transaction to undo it: someone else changed the keys first. */
class ChangedElsewhere extends Error {
  override readonly name = "ChangedElsewhere";
}

/**
 * The changes of state of signing keys in the database. Each is one transaction with its audit events, which
 * changes nothing when the rows are no longer what the caller saw: any number of nodes may try at once.
 */
export function createRotation({ database, secrets, clock, settings }: RotationParts) {
  const publishedRows = () => database.all<KeyRow>(selectPublishedKeys());

  /** Makes the current and the next key of an algorithm that lacks them. */
  async function addMissing(algorithm: SigningAlgorithm, rows: readonly KeyRow[]): Promise<void> {
    for (const state of ["current", "next"] as const) {
      if (find(rows, algorithm, state)) continue;
      const key = { ...(await makeKey(algorithm, secrets)), at: clock.now() };
      await database.transaction(async (tx) => {
        if ((await tx.run(insertKey(key, state))) === 0) return;
        await record(tx, key, {
          types: state === "current" ? ["key.created", "key.current"] : ["key.created"],
        });
      });
    }
  }

  async function rotate(request: RotationRequest): Promise<RotateOutcome> {
    const { algorithm } = request;
    const rows = await publishedRows();
    const current = find(rows, algorithm, "current");
    const next = find(rows, algorithm, "next");
    if (!current || !next) return { outcome: "not_in_use", algorithm };
    if (openPrivateKey(next, secrets)) return replaceCurrent({ rows, current, next }, request);
    // A process with a wrong master secret must not throw away keys that the others can open.
    if (!openPrivateKey(current, secrets)) throw new WrongSetting(cannotOpen(current));
    const fresh = await replaceDamagedNext(next, request.actor);
    if (!fresh) return { outcome: "rotated_elsewhere", algorithm };
    return replaceCurrent({ rows, current, next: { id: fresh.id, created_at: fresh.at } }, request);
  }

  async function replaceCurrent(
    found: { rows: readonly KeyRow[]; current: KeyRow; next: Pick<KeyRow, "id" | "created_at"> },
    { algorithm, actor, immediately }: RotationRequest,
  ): Promise<RotateOutcome> {
    const { rows, current, next } = found;
    const retiring = rows.filter((row) => row.algorithm === algorithm && row.state === "retiring");
    if (retiring.length >= RETIRING_KEYS_MAX) {
      const first = Math.min(...retiring.map((row) => retiredFrom(row, settings)));
      return { outcome: "not_ready", algorithm, readyAt: first };
    }
    const ready = readyAt(next, settings);
    if (!immediately && clock.now() < ready) return { outcome: "not_ready", algorithm, readyAt: ready };

    const fresh = await makeKey(algorithm, secrets);
    const at = clock.now();
    const won = await allOrNothing(database, async (tx) => {
      await expectChange(tx, retireCurrentKey(current.id, at));
      await expectChange(tx, promoteNextKey(next.id, at));
      await expectChange(tx, insertKey({ ...fresh, at }, "next"));
      await record(tx, { id: current.id, algorithm, at }, { types: ["key.retiring"], actor });
      await record(tx, { id: next.id, algorithm, at }, { types: ["key.current"], actor });
      await record(tx, { id: fresh.id, algorithm, at }, { types: ["key.created"], actor });
    });
    if (!won) return { outcome: "rotated_elsewhere", algorithm };
    return { outcome: "rotated", algorithm, from: current.id, to: next.id, next: fresh.id };
  }

  /** A next key that cannot be opened can never sign. It has signed nothing, so it is retired at once. */
  async function replaceDamagedNext(damaged: KeyRow, actor: Actor): Promise<NewKey | undefined> {
    const { algorithm } = damaged;
    const fresh = { ...(await makeKey(algorithm, secrets)), at: clock.now() };
    const won = await allOrNothing(database, async (tx) => {
      await expectChange(tx, retireKey({ id: damaged.id, from: "next", at: fresh.at }));
      await expectChange(tx, insertKey(fresh, "next"));
      await record(tx, { id: damaged.id, algorithm, at: fresh.at }, { types: ["key.retired"], actor });
      await record(tx, fresh, { types: ["key.created"], actor });
    });
    return won ? fresh : undefined;
  }

  /** Retiring → retired, for keys whose last token has expired. Says whether there were any. */
  async function retireExpired(rows: readonly KeyRow[]): Promise<boolean> {
    const at = clock.now();
    const expired = rows.filter((row) => row.state === "retiring" && at >= retiredFrom(row, settings));
    for (const { id, algorithm } of expired) {
      await database.transaction(async (tx) => {
        if ((await tx.run(retireKey({ id, from: "retiring", at }))) === 0) return;
        await record(tx, { id, algorithm, at }, { types: ["key.retired"] });
      });
    }
    return expired.length > 0;
  }

  /** Retiring → retired before its time: tokens that it signed are refused from then on. */
  async function withdraw(id: string): Promise<WithdrawOutcome> {
    const at = clock.now();
    return database.transaction(async (tx): Promise<WithdrawOutcome> => {
      const key = await tx.one<Pick<KeyRow, "algorithm" | "state">>(selectKeyState(id));
      if (key === undefined) return { outcome: "unknown_key" };
      const { algorithm, state } = key;
      if (state === "next" || state === "current") return { outcome: "still_needed", state };
      if ((await tx.run(retireKey({ id, from: "retiring", at }))) === 0)
        return { outcome: "withdrawn_already" };
      await record(tx, { id, algorithm, at }, { types: ["key.retired"], actor: "operator" });
      return { outcome: "withdrawn" };
    });
  }

  /** Closes with the current master secret what an older one has closed, so that the older can be taken away. */
  async function resealAll(rows: readonly KeyRow[]): Promise<void> {
    const statements = rows.flatMap((row) => {
      const after = resealed(row, secrets);
      return after && row.sealed_private_key
        ? [resealKey(row.id, { before: row.sealed_private_key, after })]
        : [];
    });
    if (statements.length > 0) await database.batch(statements);
  }

  return { publishedRows, addMissing, rotate, retireExpired, withdraw, resealAll };
}

/** True when all of it happened; false when someone else was first and none of it did. */
async function allOrNothing(database: Database, work: (tx: Transaction) => Promise<void>): Promise<boolean> {
  try {
    await database.transaction(work);
    return true;
  } catch (error) {
    if (error instanceof ChangedElsewhere) return false;
    throw error;
  }
}

function find(
  rows: readonly KeyRow[],
  algorithm: SigningAlgorithm,
  state: KeyRow["state"],
): KeyRow | undefined {
  return rows.find((row) => row.algorithm === algorithm && row.state === state);
}

async function expectChange(tx: Transaction, statement: Parameters<Transaction["run"]>[0]): Promise<void> {
  if ((await tx.run(statement)) === 0) throw new ChangedElsewhere();
}

async function record(
  tx: Transaction,
  key: { id: string; algorithm: SigningAlgorithm; at: number },
  event: { types: readonly AuditEventType[]; actor?: Actor },
): Promise<void> {
  for (const type of event.types) {
    const detail = { kid: key.id, algorithm: key.algorithm };
    await tx.run(auditStatement(key.at, { type, actor: event.actor ?? "system", detail }));
  }
}
