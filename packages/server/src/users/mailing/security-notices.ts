import type { AuditEventType } from "../../audit/events.ts";
import type { Settings } from "../../config-schema.ts";
import type { MailDetail, NoticeLetter } from "../../mail/mail.ts";
import type { Clock } from "../../primitives/clock.ts";
import { firstIdAt, type Id, idFromBytes, newId } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import { type SessionRow, selectSession } from "../../sessions/sessions.sql.ts";
import { softwareNames } from "../../sessions/software.ts";
import { unpackUserAgent } from "../../sessions/user-agent.ts";
import type { Database, Sql } from "../../storage/database.ts";
import { deviceOf, newDevice } from "./new-device.ts";
import {
  countEvents,
  insertNotice,
  insertPosition,
  movePosition,
  selectPosition,
  selectTellable,
  type TellableRow,
} from "./security-notices.sql.ts";

/** What people are told of. An event that stands here is told whoever causes it: page, API or command line. */
const kinds = {
  "session.started": "new_device",
  "session.reuse_detected": "reuse_detected",
  "password.changed": "password_changed",
  "passkey.added": "factor_added",
  "passkey.removed": "factor_removed",
  "totp.added": "factor_added",
  "totp.removed": "factor_removed",
  "recovery_codes.made": "factor_added",
  "recovery_code.used": "recovery_code_used",
  "identity.linked": "identity_linked",
  "identity.unlinked": "identity_unlinked",
} as const satisfies Partial<Record<AuditEventType, NoticeLetter>>;
type ToldType = keyof typeof kinds;

const types = Object.keys(kinds) as ToldType[];

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** An event gets its id before it is committed, on a node whose clock may lag: so long after, it can still appear. */
const LOOK_BACK_MS = 5 * MINUTE;
/** Most appear at once; all others when the whole look-back is read again. */
const SHORT_LOOK_BACK_MS = 15_000;
const WHOLE_EVERY_MS = MINUTE;
/** What is older is no news, however long the server was down. */
const OLDEST_MS = 24 * HOUR;
const WORTH_SENDING_MS = 24 * HOUR;
/** What is done in one act bears about the same time. */
const ONE_ACT_MS = 10_000;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly settings: Pick<Settings, "securityMails">;
  /** Whether mails are sent at all. */
  readonly isMailOn: boolean;
  /** What people call a provider. */
  readonly labelOf: (providerId: string) => Promise<string | undefined>;
  /** Called after a commit that queued mails. */
  readonly onQueued: () => void;
}

/**
 * Tells people by mail what happened to their account. It is made of the audit log, which no act can forget: what is
 * in there and in `kinds` is told, once, by whichever node reads it first.
 */
export function createNotices(dependencies: Dependencies) {
  const { database, clock, settings, isMailOn, onQueued } = dependencies;
  const isOn = isMailOn && settings.securityMails === "on";
  /** Events that need no second look. */
  const judged = new Set<string>();
  let wholeAt = Number.NEGATIVE_INFINITY;
  let readUntil = 0;
  /** Nothing before this is news: the first start on an old database must not tell of years. */
  let floor = 0;
  let round: { readonly startedAt: number; readonly isWhole: boolean; cursor: Id } | undefined;

  async function begin(now: number): Promise<NonNullable<typeof round>> {
    const isWhole = now - wholeAt >= WHOLE_EVERY_MS;
    if (isWhole) {
      await database.batch([insertPosition(now + LOOK_BACK_MS)]);
      const position = await database.one<{ noticed_until: number }>(selectPosition());
      floor = Math.max((position?.noticed_until ?? now) - LOOK_BACK_MS, now - OLDEST_MS);
    }
    const from = isWhole ? floor : Math.max(floor, readUntil - SHORT_LOOK_BACK_MS);
    return { startedAt: now, isWhole, cursor: firstIdAt(from) };
  }

  async function end({ startedAt, isWhole }: NonNullable<typeof round>): Promise<void> {
    readUntil = startedAt;
    if (!isWhole) return;
    await database.batch([movePosition(startedAt)]);
    wholeAt = startedAt;
  }

  /** While nobody is told, what happens is not kept for later. */
  async function skip(now: number): Promise<void> {
    if (now - wholeAt < WHOLE_EVERY_MS) return;
    const until = now + LOOK_BACK_MS;
    await database.batch([insertPosition(until), movePosition(until)]);
    wholeAt = now;
  }

  async function judge(rows: readonly TellableRow[]): Promise<void> {
    const statements: Sql[] = [];
    const fresh = rows.filter((row) => !judged.has(idFromBytes(row.id)));
    for (const row of fresh) {
      const facts = await factsOf(row, dependencies);
      if (facts !== undefined) statements.push(noticeOf(row, facts, clock.now()));
    }
    if (statements.length > 0) {
      const results = await database.batch(statements);
      if (results.some(({ changes }) => changes > 0)) onQueued();
    }
    for (const row of fresh) judged.add(idFromBytes(row.id));
    for (const id of judged) {
      if (judged.size <= limits.noticesRememberedMax) break;
      judged.delete(id);
    }
  }

  async function look(): Promise<void> {
    const now = clock.now();
    if (!isOn) return skip(now);
    round ??= await begin(now);
    for (let looks = 0; looks < limits.noticeLooksMax; looks++) {
      const page = { after: round.cursor, types, rows: limits.noticesPerLookMax };
      const rows = await database.all<TellableRow>(selectTellable(page));
      await judge(rows);
      const last = rows.at(-1);
      if (rows.length < limits.noticesPerLookMax || last === undefined) {
        await end(round);
        round = undefined;
        return;
      }
      round.cursor = idFromBytes(last.id);
    }
  }

  /** One look at a time. */
  let looking: Promise<void> = Promise.resolve();

  return {
    /** One bounded piece of reading; it comes round again. */
    tell(): Promise<void> {
      looking = looking.catch(() => undefined).then(look);
      return looking;
    },
  };
}

function noticeOf(row: TellableRow, facts: MailDetail, now: number): Sql {
  const notice = {
    id: newId(now),
    kind: kinds[row.type as ToldType],
    userId: idFromBytes(row.user_id),
    eventId: row.id,
    detail: { at: row.at, ...facts, ...(row.actor === "operator" && { by: "operator" }) },
    at: now,
    expiresAt: row.at + WORTH_SENDING_MS,
  };
  return insertNotice(notice, { since: now - HOUR, max: limits.noticesPerHourMax });
}

/** What the notice says besides the time; undefined to stay quiet. */
async function factsOf(
  row: TellableRow,
  { database, labelOf }: Pick<Dependencies, "database" | "labelOf">,
): Promise<MailDetail | undefined> {
  const type = row.type as ToldType;
  const detail = JSON.parse(row.detail) as MailDetail;
  const ip = row.ip === null || row.actor !== "user" ? {} : { ip: row.ip };
  switch (type) {
    case "session.started":
      return newDevice(row, database);
    case "session.reuse_detected":
      return deviceFacts(row, database);
    case "password.changed":
      return ip;
    case "passkey.added":
    case "passkey.removed":
      return { factor: "passkey", ...ip };
    case "totp.added":
    case "totp.removed":
      return { factor: "totp", ...ip };
    case "recovery_codes.made":
      return (await isOfNewFactor(row, database)) ? undefined : { factor: "recovery_codes", ...ip };
    case "recovery_code.used":
      return { left: detail.left ?? 0, ...ip };
    case "identity.linked":
      // Somebody who has signed up by it knows.
      if (row.at - row.user_created_at < ONE_ACT_MS) return undefined;
      return { ...(await providerFacts(detail, labelOf)), ...ip };
    case "identity.unlinked":
      return { ...(await providerFacts(detail, labelOf)), ...ip };
  }
}

async function providerFacts(detail: MailDetail, labelOf: Dependencies["labelOf"]): Promise<MailDetail> {
  if (typeof detail.provider !== "string") return {};
  return { provider: (await labelOf(detail.provider)) ?? detail.provider };
}

/** The device that lost its session. The address in the event may be the thief's, or the owner's: it is left out. */
async function deviceFacts(row: TellableRow, database: Pick<Database, "one">): Promise<MailDetail> {
  const session =
    row.session_id && (await database.one<SessionRow>(selectSession(idFromBytes(row.session_id))));
  const device = session?.user_agent && deviceOf(unpackUserAgent(session.user_agent), await softwareNames());
  return device ? { device } : {};
}

/** The codes that come with a first factor need no mail of their own. */
async function isOfNewFactor(row: TellableRow, database: Pick<Database, "one">): Promise<boolean> {
  const found = await database.one<{ events: number }>(
    countEvents({
      userId: idFromBytes(row.user_id),
      types: ["passkey.added", "totp.added"],
      from: firstIdAt(row.at - ONE_ACT_MS),
      upTo: firstIdAt(row.at + ONE_ACT_MS),
    }),
  );
  return Number(found?.events) > 0;
}
