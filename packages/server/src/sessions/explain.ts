import type { StoredAuditEvent } from "../audit/events.ts";
import { unreachable } from "../primitives/assert.ts";
import type { EndReason } from "./end.ts";
import type { Session } from "./session.ts";

/** One moment in a session's life, in plain words. */
export interface Moment {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly text: string;
}

export interface Explanation {
  readonly state: "alive" | "over";
  /** One sentence: what the session is now, and why. */
  readonly summary: string;
  /** The oldest first. */
  readonly moments: readonly Moment[];
}

/** Tells a session's life from its row and its audit events, for someone who asks "why was I signed out?". */
export function explainSession(
  session: Session,
  events: readonly StoredAuditEvent[],
  now: number,
): Explanation {
  const moments: Moment[] = [
    { at: session.createdAt, text: signedInText(session) },
    ...turnMoments(session),
    ...events.flatMap((event) => eventMoment(event)),
  ];
  const over = overMoment(session, now);
  if (over !== undefined && session.revokedAt === undefined) moments.push(over);
  moments.sort((a, b) => a.at - b.at);
  return { state: over === undefined ? "alive" : "over", summary: over?.text ?? aliveText(session), moments };
}

function signedInText({ amr, device, kind, keyThumbprint }: Session): string {
  if (kind === "service") return "A client asked for an access token for itself.";
  const holder = kind === "browser" ? ", in a browser that holds a cookie" : "";
  const bound = keyThumbprint === undefined ? "" : "; its refresh token is bound to a key of the client's";
  return `Signed in${withMethods(amr)}${on(device)}${holder}${bound}.`;
}

function turnMoments(session: Session): Moment[] {
  const known = session.recent.map((entry) => ({
    at: entry.supersededAt,
    text: `Turn ${entry.generation + 1}: refresh token ${entry.generation} was replaced${
      entry.attempt === undefined ? "" : ", by a request with an attempt key"
    }.`,
  }));
  const earlier = session.generation - known.length;
  if (earlier > 0) {
    const oldest = known.at(-1);
    known.push({
      at: (oldest?.at ?? session.createdAt) - 1,
      text: `${earlier} earlier turn${earlier === 1 ? "" : "s"}, whose times are not kept.`,
    });
  }
  return known;
}

function eventMoment(event: StoredAuditEvent): Moment[] {
  switch (event.type) {
    case "session.reuse_detected": {
      const { presentedGeneration, currentGeneration } = event.detail ?? {};
      return [
        {
          at: event.at,
          text:
            `Refresh token ${presentedGeneration} was used again${from(event.ip)}, long after it had been replaced ` +
            `(the current one is ${currentGeneration}). Somebody holds a copy, so the session was ended.`,
        },
      ];
    }
    case "code.reused":
      return [
        {
          at: event.at,
          text: `The authorization code that started it was used again${from(event.ip)}. Somebody holds a copy, so the session was ended.`,
        },
      ];
    case "session.newer_generation_adopted":
      return [{ at: event.at, text: "A refresh token newer than the restored database was adopted." }];
    case "session.proven_again": {
      const amr = String(event.detail?.amr ?? "").split(" ");
      return [
        { at: event.at, text: `Its user proved again who they are${withMethods(amr)}${from(event.ip)}.` },
      ];
    }
    case "token.exchanged": {
      const { resources } = event.detail ?? {};
      const text = `${event.clientId} got an access token for ${resources} in exchange for one of this session.`;
      return [{ at: event.at, text }];
    }
    case "device.allowed":
      return [{ at: event.at, text: `From here a device was let in by its code (${event.clientId}).` }];
    case "session.ended": {
      const { reason, by } = event.detail ?? {};
      const successor = reason === "replaced" && typeof by === "string" ? `, ${by}` : "";
      return [
        { at: event.at, text: `${endText(String(reason) as EndReason)}${successor}${from(event.ip)}.` },
      ];
    }
    default:
      return [];
  }
}

function overMoment(session: Session, now: number): Moment | undefined {
  if (session.revokedAt !== undefined) {
    return {
      at: session.revokedAt,
      text: `Over: ${lowerFirst(endText(session.endReason ?? "ended_by_operator"))}.`,
    };
  }
  if (session.expiresAt <= now) {
    return { at: session.expiresAt, text: "Over: it reached the end that was fixed at sign-in." };
  }
  if (session.idleEndsAt <= now)
    return { at: session.idleEndsAt, text: "Over: it was not used for too long." };
  return undefined;
}

function endText(reason: EndReason): string {
  switch (reason) {
    case "signed_out":
      return "The user signed out";
    case "ended_by_user":
      return "The user ended it from another device";
    case "ended_by_operator":
      return "The operator ended it";
    case "revoked_by_client":
      return "The application gave its tokens back";
    case "reused":
      return "An old refresh token was used again";
    case "code_reused":
      return "The authorization code that started it was used a second time";
    case "consent_withdrawn":
      return "The user no longer lets the application in";
    case "replaced":
      return "The same browser signed in anew, and a new session took its place";
    case "password_changed":
      return "The password was changed";
    case "user_disabled":
      return "The user was disabled";
    case "user_removed":
      return "The user was removed";
    case "client_removed":
      return "The application was removed";
    default:
      return unreachable(reason);
  }
}

function aliveText(session: Session): string {
  const times = session.generation === 1 ? "1 time" : `${session.generation} times`;
  const turns = session.kind === "browser" ? "a browser holds it, which" : `it has turned ${times} and`;
  return (
    `Alive: ${turns} was last used ${new Date(session.lastUsedAt).toISOString()}. ` +
    `It ends ${new Date(session.idleEndsAt).toISOString()} unless it is used, and in any case ` +
    `${new Date(session.expiresAt).toISOString()}.`
  );
}

/** RFC 8176 §2, in plain words. */
const methods: Readonly<Record<string, string>> = { pwd: "a password" };
const withMethods = (amr: readonly string[]) =>
  amr.length === 0 ? "" : ` with ${amr.map((method) => methods[method] ?? method).join(" and ")}`;
const on = (device: string | undefined) => (device === undefined ? "" : ` on "${device}"`);
const from = (ip: string | undefined) => (ip === undefined ? "" : ` from ${ip}`);
const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);
