import type { Secrets } from "../keys/secrets.ts";
import type { Clock } from "../primitives/clock.ts";
import { sha256 } from "../primitives/digest.ts";
import { type Id, idFromBytes } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes } from "../primitives/random.ts";
import type { Database } from "../storage/database.ts";
import { deleteInSlices } from "../storage/slices.ts";
import {
  type AttemptRow,
  deletePastAttempts,
  deletePastPending,
  insertAttempt,
  type PendingRow,
  putPending,
  selectPending,
  spendAttempt,
  spendPending,
} from "./attempts.sql.ts";
import type { ForeignPerson } from "./profile.ts";

/** What somebody set out for at a provider. */
export interface Attempt {
  readonly nonce: string;
  /** RFC 7636 §4.1 */
  readonly verifier: string;
  readonly returnTo: string | undefined;
  /** Who wants the provider for an account that they are signed in to, and in which session. Else: to sign in. */
  readonly linkTo: { readonly userId: Id; readonly sessionId: Id } | undefined;
}

/** Whom a provider has vouched for, until they have proven the account that has their address. */
export interface Pending {
  readonly providerId: string;
  readonly person: ForeignPerson;
  readonly returnTo: string | undefined;
  readonly createdAt: number;
}

export type Attempts = ReturnType<typeof createAttempts>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly secrets: Pick<Secrets, "seal" | "unseal">;
}

const TOKEN = /^[A-Za-z0-9_-]{43}$/;
const randomToken = () => randomBytes(32).toString("base64url");
const LIFE_MS = limits.providerAttemptSeconds * 1000;

/** The value of the cookie that ties what happens at a provider to the browser that began it; undefined for no such. */
export const binderFrom = (text: string | undefined) =>
  text !== undefined && TOKEN.test(text) ? text : undefined;

/**
 * Ways to a provider that are under way. Nothing that can be presented is stored: of the state and the binder only
 * digests, the nonce and the verifier sealed.
 */
export function createAttempts({ database, clock, secrets }: Dependencies) {
  const sealed = (value: object, digest: Buffer) =>
    secrets.seal(Buffer.from(JSON.stringify(value)), context(digest));
  const opened = <T>(bytes: Uint8Array, digest: Buffer): T | undefined => {
    const plain = secrets.unseal(bytes, context(digest));
    return plain && (JSON.parse(plain.toString()) as T);
  };

  return {
    newBinder: randomToken,

    async begin(begun: {
      providerId: string;
      binder: string;
      returnTo: string | undefined;
      linkTo: Attempt["linkTo"];
    }): Promise<{ state: string; nonce: string; verifier: string }> {
      const [state, nonce, verifier] = [randomToken(), randomToken(), randomToken()];
      const at = clock.now();
      const stateDigest = sha256(state);
      const { providerId, binder, returnTo, linkTo } = begun;
      const row = { stateDigest, providerId, binderDigest: sha256(binder), returnTo, linkTo };
      const secret = sealed({ nonce, verifier }, stateDigest);
      await database.batch([insertAttempt({ ...row, sealed: secret, at, expiresAt: at + LIFE_MS })]);
      return { state, nonce, verifier };
    },

    /** The attempt of this state, provider and browser, once. */
    async spend(spent: {
      state: string | undefined;
      providerId: string;
      binder: string | undefined;
    }): Promise<Attempt | undefined> {
      const { state, providerId, binder } = spent;
      if (state === undefined || !TOKEN.test(state) || binder === undefined) return undefined;
      const stateDigest = sha256(state);
      const statement = spendAttempt({
        stateDigest,
        providerId,
        binderDigest: sha256(binder),
        now: clock.now(),
      });
      const [result] = await database.batch([statement]);
      const row = result?.rows[0] as unknown as AttemptRow | undefined;
      const secret = row && opened<{ nonce: string; verifier: string }>(row.sealed, stateDigest);
      if (row === undefined || secret === undefined) return undefined;
      const { user_id: userId, session_id: sessionId } = row;
      return {
        ...secret,
        returnTo: row.return_to ?? undefined,
        linkTo:
          userId === null || sessionId === null
            ? undefined
            : { userId: idFromBytes(userId), sessionId: idFromBytes(sessionId) },
      };
    },

    /** Keeps whom a provider has vouched for, for this browser. */
    async keep(kept: {
      binder: string;
      providerId: string;
      person: ForeignPerson;
      returnTo: string | undefined;
    }): Promise<void> {
      const { binder, providerId, person, returnTo } = kept;
      const at = clock.now();
      const binderDigest = sha256(binder);
      const row = { binderDigest, providerId, returnTo, sealed: sealed(person, binderDigest) };
      await database.batch([putPending({ ...row, at, expiresAt: at + LIFE_MS })]);
    },

    async pending(binder: string | undefined): Promise<Pending | undefined> {
      if (binder === undefined) return undefined;
      const binderDigest = sha256(binder);
      const row = await database.one<PendingRow>(selectPending(binderDigest, clock.now()));
      const person = row && opened<ForeignPerson>(row.sealed, binderDigest);
      if (row === undefined || person === undefined) return undefined;
      return {
        providerId: row.provider_id,
        person,
        returnTo: row.return_to ?? undefined,
        createdAt: row.created_at,
      };
    },

    /** Of any number who act on what is kept, one does. */
    async spendPending(binder: string, { createdAt }: Pick<Pending, "createdAt">): Promise<boolean> {
      const statement = spendPending(sha256(binder), { createdAt, now: clock.now() });
      const [result] = await database.batch([statement]);
      return result?.changes === 1;
    },

    async deletePast(): Promise<void> {
      const now = clock.now();
      await deleteInSlices(database, (rows) => deletePastAttempts(now, rows));
      await deleteInSlices(database, (rows) => deletePastPending(now, rows));
    },
  };
}

const context = (digest: Buffer) => `provider attempt ${digest.toString("hex")}`;
