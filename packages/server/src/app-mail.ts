import { insertEvent } from "./audit/audit.sql.ts";
import { type ResolvedSettings, WrongSetting } from "./config.ts";
import type { Hooks } from "./hooks.ts";
import { createLetters } from "./mail/letters.ts";
import { type Compose, type MailKind, type NoticeLetter, noticeLetters } from "./mail/mail.ts";
import { mailMode } from "./mail/mode.ts";
import { createOutbox, type MailFailure } from "./mail/outbox.ts";
import { createOutboxFolder } from "./mail/outbox-folder.ts";
import { mailTextsWith } from "./mail/texts.ts";
import { createTransport, type Transport } from "./mail/transport.ts";
import type { Log } from "./observability/log.ts";
import { newId } from "./primitives/id.ts";
import type { Database, Sql } from "./storage/database.ts";
import { createNoticeLetters } from "./users/mailing/notice-letters.ts";
import { createNotices } from "./users/mailing/security-notices.ts";

interface Post {
  readonly settings: ResolvedSettings;
  readonly hooks?: Hooks | undefined;
  /** Where development prints mails. Default: the standard error stream. */
  readonly print?: ((text: string) => void) | undefined;
}

const onTerminal = (text: string) => void process.stderr.write(text);
const nowhere: Transport = {
  deliver: async () => ({ outcome: "failed", trouble: "other", code: undefined, said: "mail is off" }),
  close: () => undefined,
};

/** What mails are written with and leave by; it needs no database. */
export function openPost({ settings, hooks, print = onTerminal }: Post) {
  const mode = mailMode(settings);
  const languages = mailTextsWith(givenTexts(hooks), settings.mailLanguage);
  const folder = createOutboxFolder({ data: settings.data, print });
  const { mail: server } = settings;
  const transport =
    server !== undefined
      ? createTransport({ server, settings })
      : mode === "development"
        ? folder.transport
        : nowhere;
  return { mode, languages, folder, transport };
}

function givenTexts(hooks: Hooks | undefined): unknown {
  if (hooks?.mailTexts === undefined) return {};
  try {
    return hooks.mailTexts();
  } catch (error) {
    const reason = String(error instanceof Error ? error.message : error).split("\n")[0];
    throw new WrongSetting(`The hook mailTexts throws: ${reason}`);
  }
}

interface Ground extends Post {
  readonly holdsMail?: boolean | undefined;
  readonly log: Log;
  readonly database: Database;
  readonly composeCodeLetter: Compose;
  readonly providers: { find(id: string): Promise<{ readonly label: string } | undefined> };
}

/** The part of the composition root that makes what sends mails, and what tells people by them. */
export function openMail({ log, database, composeCodeLetter, providers, holdsMail, ...post }: Ground) {
  const { settings } = post;
  const { clock } = database;
  const { mode, languages, folder, transport } = openPost(post);
  const isOn = mode !== "off";
  const sends = isOn && holdsMail !== true;
  const letters = createLetters({ settings, languages, now: () => clock.now() });
  const composeNotice = createNoticeLetters({ database });
  const compose: Compose = (mail) => {
    const { kind } = mail;
    return isNotice(kind) ? composeNotice({ ...mail, kind }) : composeCodeLetter(mail);
  };
  const outbox = createOutbox({
    database,
    clock,
    log,
    compose,
    write: letters.write,
    transport,
    failedStatement: failedEvent,
  });
  const notices = createNotices({
    database,
    clock,
    settings,
    isMailOn: isOn,
    labelOf: async (id) => (await providers.find(id))?.label,
    onQueued: () => {
      if (sends) outbox.wake();
    },
  });
  return {
    /** Whether anything is mailed. Where not, nobody is offered what would need a mail. */
    isOn,
    /** Mails that development keeps; undefined anywhere else. */
    outboxFolder: mode === "development" ? folder : undefined,
    outbox,
    notices,
    /** Sends what waits, now and after each act that asks for it. Without mail nothing is asked for. */
    wake: () => {
      if (sends) outbox.wake();
    },
    jobs: [
      ...(sends ? [{ name: "outbox", everySeconds: 1, run: outbox.look }] : []),
      { name: "outbox-cleaning", everySeconds: 300, run: outbox.deletePast },
      { name: "notices", everySeconds: 5, run: notices.tell },
    ],
    stop: outbox.stop,
  };
}

function isNotice(kind: MailKind): kind is NoticeLetter {
  return (noticeLetters as readonly string[]).includes(kind);
}

function failedEvent(failure: MailFailure, { at, onlyIf }: { at: number; onlyIf: Sql }): Sql {
  const { userId, kind, code, reason } = failure;
  const detail = { kind, reason, ...(code !== undefined && { code }) };
  return insertEvent({
    id: newId(at),
    at,
    event: { type: "mail.failed", actor: "system", userId, detail },
    onlyIf,
  });
}
