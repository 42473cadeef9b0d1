import type { Socket } from "node:net";
import type { Settings } from "../config-schema.ts";
import type { Id } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { isLoopback } from "../primitives/loopback.ts";
import { mailboxOf } from "../primitives/mailbox.ts";
import type { MailKind } from "./mail.ts";

/** A mail as it leaves. */
export interface Message {
  /** Of the row in the outbox: it makes the Message-ID, so a second sending after a crash can be recognised. */
  readonly id: Id;
  readonly kind: MailKind | "test";
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly language: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Where it failed, in the words of `keyturn mail test`. */
export type Trouble =
  | "address"
  | "dns"
  | "connect"
  | "tls"
  | "login"
  | "sender"
  | "recipient"
  | "message"
  | "too_slow"
  | "other";

export type Delivered =
  | { readonly outcome: "sent" }
  /** `refused`: trying again changes nothing. `failed`: it may. */
  | {
      readonly outcome: "refused" | "failed";
      readonly trouble: Trouble;
      /** What the server answered with, RFC 5321 §4.2. */
      readonly code: number | undefined;
      /** For the operator's terminal only: it may name an address. */
      readonly said: string;
    };

/** Something that takes mails: a server, or the folder of development. */
export interface Transport {
  deliver(message: Message, signal?: AbortSignal): Promise<Delivered>;
  /** Ends the connections. What is under way has ended, or is given up. */
  close(): void;
}

interface Dependencies {
  /** The setting `mail`. */
  readonly server: string;
  readonly settings: Pick<Settings, "siteName"> & { readonly mailFrom: string };
  /** For tests: whom to trust besides the usual authorities, and a connection in place of a look-up of the host. */
  readonly authorities?: string | undefined;
  readonly connect?: (() => Socket) | undefined;
  /** From the first look-up to the last answer. */
  readonly milliseconds?: number | undefined;
}

const CONNECT_MS = 10_000;
const SILENCE_MS = 30_000;
const MESSAGES_PER_CONNECTION = 50;
const IDLE_MS = 20_000;
/** Nobody was there, or nobody who can be believed: without these words an exception would tell it in its own. */
const TLS_CODES = /^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|EPROTO)/;

interface MailError extends Error {
  readonly code?: string;
  readonly originalCode?: string;
  readonly responseCode?: number;
  readonly response?: string;
  readonly command?: string;
}

/** Hands mails in at a mail server, RFC 6409. nodemailer is loaded at the first one. */
export function createTransport(dependencies: Dependencies): Transport {
  const { server, settings, milliseconds = limits.mailSendMillisecondsMax } = dependencies;
  let opening: ReturnType<typeof open> | undefined;
  let isClosed = false;

  async function open() {
    const { createTransport: createPool } = await import("nodemailer");
    return createPool(optionsOf({ ...dependencies, server }));
  }

  return {
    async deliver(message, signal) {
      const to = mailboxOf(message.to);
      if (to === undefined) {
        return { outcome: "refused", trouble: "address", code: undefined, said: "not one mailbox" };
      }
      if (isClosed) return { outcome: "failed", trouble: "other", code: undefined, said: "closed" };
      const timeout = AbortSignal.timeout(milliseconds);
      try {
        opening ??= open();
        const pool = await opening;
        const mail = mailOf(message, { to, settings });
        await pool.sendMail({ ...mail, signal: signal ? AbortSignal.any([timeout, signal]) : timeout });
        return { outcome: "sent" };
      } catch (error) {
        return problemOf(error as MailError);
      }
    },
    close() {
      isClosed = true;
      void opening?.then((pool) => pool.close());
    },
  };
}

function optionsOf({ server, authorities, connect }: Dependencies) {
  const { protocol, hostname, port, username, password } = new URL(server);
  const secure = protocol === "smtps:";
  // What does not leave this machine needs no certificate: few servers on loopback have one for that name.
  const isLocal = isLoopback(hostname) && !secure;
  const pass = decodeURIComponent(password);
  return {
    pool: true as const,
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? (secure ? 465 : 587) : Number(port),
    secure,
    requireTLS: !secure && !isLocal,
    ...(username !== "" && { auth: { user: decodeURIComponent(username), pass } }),
    tls: {
      minVersion: "TLSv1.2" as const,
      rejectUnauthorized: !isLocal,
      ...(authorities !== undefined && { ca: authorities }),
    },
    ...(connect && {
      getSocket: (_options: unknown, done: (error: null, found: { connection: Socket }) => void) => {
        const connection = connect();
        connection.once("connect", () => done(null, { connection }));
      },
    }),
    maxConnections: limits.mailsAtOnceMax,
    maxMessages: MESSAGES_PER_CONNECTION,
    // The outbox tries again, and knows when to stop.
    maxRequeues: 0,
    idleTimeout: IDLE_MS,
    dnsTimeout: CONNECT_MS,
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    maxResponseSize: limits.mailBytesMax,
    // Its log would name addresses.
    logger: false,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

function mailOf(message: Message, { to, settings }: { to: string } & Pick<Dependencies, "settings">) {
  const from = mailboxOf(settings.mailFrom) ?? settings.mailFrom;
  const domain = from.slice(from.lastIndexOf("@") + 1);
  return {
    messageId: `<${message.id}@${domain}>`,
    date: new Date(message.at),
    // Objects, for a text would be read as a list of addresses.
    from: { name: line(settings.siteName), address: from },
    to: { name: "", address: to },
    // RFC 5321 §2.3.1: who receives it is the envelope's to say. One, whatever the fields above were read as.
    envelope: { from, to: [to] },
    subject: line(message.subject),
    text: message.text,
    html: message.html,
    headers: {
      // RFC 3834 §5: nobody's out-of-office note answers.
      "Auto-Submitted": "auto-generated",
      "X-Auto-Response-Suppress": "All",
      "Content-Language": message.language,
    },
    xMailer: false as const,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** RFC 5322 §2.2: a field's text has no line break of its own. */
const line = (text: string) => text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, " ").trim();

function problemOf(error: MailError): Delivered {
  const { responseCode: code, command = "" } = error;
  const trouble = troubleOf(error);
  const said = line(error.response ?? error.message).slice(0, 300);
  // RFC 5321 §4.2.1: a 5yz reply means the same command is not to be repeated. What it says of our login or our own
  // address an operator can mend meanwhile; what it says of this recipient or this message stays.
  const isPermanent = code !== undefined && code >= 500 && code < 600;
  const isOfThisMail = trouble === "recipient" || trouble === "message";
  const isUnsendable = command === "API" && error.code === "EENVELOPE";
  const outcome = (isPermanent && isOfThisMail) || isUnsendable ? "refused" : "failed";
  return { outcome, trouble, code, said };
}

function troubleOf({ code = "", originalCode = "", command = "", name }: MailError): Trouble {
  if (code === "EDNS") return "dns";
  if (code === "ETLS" || TLS_CODES.test(code) || TLS_CODES.test(originalCode)) return "tls";
  if (code === "EAUTH" || code === "ENOAUTH" || command.startsWith("AUTH")) return "login";
  if (command === "MAIL FROM") return "sender";
  if (command === "RCPT TO" || command === "API") return "recipient";
  if (command === "DATA" || code === "EMESSAGE") return "message";
  if (code === "ETIMEDOUT" || code === "EABORT" || name === "AbortError" || name === "TimeoutError") {
    return "too_slow";
  }
  return code === "ECONNECTION" || code === "ESOCKET" ? "connect" : "other";
}
