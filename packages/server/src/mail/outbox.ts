import type { Log } from "../observability/log.ts";
import type { Clock } from "../primitives/clock.ts";
import { idFromBytes } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes } from "../primitives/random.ts";
import type { Database, Sql } from "../storage/database.ts";
import { deleteInSlices } from "../storage/slices.ts";
import type { Compose, Letter, MailDetail, MailKind, QueuedMail } from "./mail.ts";
import {
  claimMail,
  deletePastMails,
  finishMail,
  isFinishedBy,
  type MailRow,
  postponeMail,
  selectDueMails,
} from "./outbox.sql.ts";
import type { Delivered, Message, Transport } from "./transport.ts";

/** A mail that will not be sent any more. Never an address. */
export interface MailFailure {
  readonly userId: string | undefined;
  readonly kind: MailKind;
  /** What the mail server said last, RFC 5321 §4.2. */
  readonly code: number | undefined;
  readonly reason: string;
}

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly compose: Compose;
  readonly write: (letter: Letter, mail: Pick<QueuedMail, "id" | "languages">) => Message;
  readonly transport: Transport;
  /** The audit event of a mail that failed, for the transaction that gives it up. */
  readonly failedStatement: (failure: MailFailure, context: { at: number; onlyIf: Sql }) => Sql;
  readonly drainMilliseconds?: number;
}

type ClaimedMail = QueuedMail & { readonly row: MailRow };

/** Done rows stay this long, so that an event of the audit log is told once. */
const KEPT_MS = 60 * 60 * 1000;
const FIRST_PAUSE_SECONDS = 5;

/**
 * Sends what waits in the table of mails. Any number of nodes share it: a mail belongs to whoever has counted up its
 * tries, until the claim is over. A node that dies between sending and saying so sends again: at least once, with the
 * same Message-ID.
 */
export function createOutbox(dependencies: Dependencies) {
  const { database, clock, log, compose, write, transport, failedStatement } = dependencies;
  const { drainMilliseconds = limits.mailDrainMilliseconds } = dependencies;
  const underWay = new Set<Promise<void>>();
  const ending = new AbortController();
  let isStopped = false;
  let isWanted = false;
  let looking: Promise<void> | undefined;

  async function giveUp(mail: ClaimedMail, failure: Pick<MailFailure, "code" | "reason">): Promise<void> {
    const at = clock.now();
    const { kind, userId, row } = mail;
    log.warn({ kind, tries: row.tries, ...failure }, "A mail was given up");
    const onlyIf = isFinishedBy(row, at);
    await database.batch([
      finishMail(row, at),
      failedStatement({ userId, kind, ...failure }, { at, onlyIf }),
    ]);
  }

  async function settle(mail: ClaimedMail, delivered: Delivered): Promise<void> {
    const { row, kind, expiresAt } = mail;
    const now = clock.now();
    if (delivered.outcome === "sent") {
      await database.batch([finishMail(row, now)]);
      return;
    }
    const { code, trouble: reason } = delivered;
    const nextTryAt = now + pauseAfter(row.tries);
    if (delivered.outcome === "refused" || row.tries >= limits.mailTriesMax || nextTryAt >= expiresAt) {
      await giveUp(mail, { code, reason });
      return;
    }
    log.warn({ kind, tries: row.tries, reason, code }, "A mail could not be sent; it is tried again");
    await database.batch([postponeMail(row, nextTryAt)]);
  }

  async function send(mail: ClaimedMail): Promise<void> {
    const now = clock.now();
    if (now >= mail.expiresAt) return giveUp(mail, { code: undefined, reason: "expired" });
    if (mail.row.tries > limits.mailTriesMax)
      return giveUp(mail, { code: undefined, reason: "too_many_tries" });
    const letter = await compose(mail);
    if (letter === undefined) {
      await database.batch([finishMail(mail.row, clock.now())]);
      return;
    }
    const message = write(letter, mail);
    if (Buffer.byteLength(message.text) + Buffer.byteLength(message.html) > limits.mailBytesMax) {
      return giveUp(mail, { code: undefined, reason: "too_large" });
    }
    await settle(mail, await transport.deliver(message, ending.signal));
  }

  function begin(row: MailRow): void {
    const { kind } = row;
    // A row that cannot be read must not keep others from being sent.
    const work = Promise.resolve()
      .then(() => send(mailFrom(row)))
      // The claim runs out by itself and the mail is tried again.
      .catch((error) => log.error({ err: error, kind }, "A mail could not be dealt with; it is tried again"))
      .finally(() => {
        underWay.delete(work);
        if (isWanted) wake();
      });
    underWay.add(work);
  }

  /** Takes as many as may be under way. Afterwards `isWanted` says whether more may be due. */
  async function look(): Promise<void> {
    const free = limits.mailsAtOnceMax - underWay.size;
    isWanted = true;
    if (free <= 0 || isStopped) return;
    const now = clock.now();
    const due = await database.all<Pick<MailRow, "id" | "tries">>(selectDueMails(now, free));
    isWanted = due.length === free;
    if (due.length === 0) return;
    const until = now + limits.mailClaimMilliseconds;
    const results = await database.batch(due.map((row) => claimMail(row, until)));
    for (const { rows } of results) for (const row of rows) begin(row as unknown as MailRow);
  }

  /** One look at a time; who asks meanwhile is answered by another one. */
  function lookNow(): Promise<void> {
    looking ??= look().finally(() => {
      looking = undefined;
    });
    return looking;
  }

  function wake(): void {
    if (isStopped) return;
    const before = looking ?? Promise.resolve();
    before
      .then(lookNow)
      .catch((error) =>
        log.error({ err: error }, "The outbox could not be looked at; it is looked at again"),
      );
  }

  return {
    /** Looks for what is due, without waiting until it is sent. */
    look: lookNow,
    /** After a commit that queued a mail: it leaves at once instead of at the next look. */
    wake,

    /** Sends all that is due now. For tests, and for programs that end. */
    async sendDue(): Promise<void> {
      for (let looks = 0; looks < limits.noticesRememberedMax; looks++) {
        await lookNow();
        if (underWay.size === 0 && !isWanted) return;
        await Promise.all(underWay);
      }
    },

    /** Deletes a slice of what nobody needs any more. */
    async deletePast(): Promise<void> {
      const before = clock.now() - KEPT_MS;
      await deleteInSlices(database, (rows) => deletePastMails(before, rows));
    },

    /** Takes nothing more, and lets what is under way end, within a bound. */
    async stop(): Promise<void> {
      isStopped = true;
      await looking?.catch(() => undefined);
      const timer = setTimeout(() => ending.abort(), drainMilliseconds);
      await Promise.all(underWay);
      clearTimeout(timer);
      transport.close();
    },
  };
}

/**
 * How long to wait after so many tries: three times longer each time, up to half an hour, and up to a quarter more or
 * less, so that mails that failed together do not come back together. Milliseconds.
 */
export function pauseAfter(tries: number): number {
  const seconds = Math.min(FIRST_PAUSE_SECONDS * 3 ** (tries - 1), limits.mailPauseSecondsMax);
  const jitter = 0.75 + (randomBytes(2).readUInt16BE() / 0x10000) * 0.5;
  return Math.round(seconds * 1000 * jitter);
}

function mailFrom(row: MailRow): ClaimedMail {
  return {
    row,
    id: idFromBytes(row.id),
    kind: row.kind as MailKind,
    userId: row.user_id ? idFromBytes(row.user_id) : undefined,
    address: row.address ?? undefined,
    detail: JSON.parse(row.detail) as MailDetail,
    languages: row.languages ?? undefined,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}
