import { idFromBytes } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import { addressBlock } from "../../rate-limits/address.ts";
import { type SessionRow, selectSession, selectSessions } from "../../sessions/sessions.sql.ts";
import { type SoftwareOf, softwareNames } from "../../sessions/software.ts";
import { unpackUserAgent } from "../../sessions/user-agent.ts";
import type { Reader } from "../../storage/database.ts";
import type { TellableRow } from "./security-notices.sql.ts";

/** An account that is younger than this is still being set up, on one device after the other. */
const YOUNG_MS = 30 * 60 * 1000;

/**
 * Whether a session that has started is one to be told of: the account is no new one, has signed in before, and
 * neither the place nor the kind of device was ever seen with it. On any doubt it is not: a notice that comes with every
 * update of a browser, or on every train, is one that nobody reads.
 * @returns what to say of the device; undefined to stay quiet
 */
export async function newDevice(
  event: Pick<TellableRow, "at" | "session_id" | "user_created_at">,
  database: Pick<Reader, "one" | "all">,
): Promise<{ readonly device: string; readonly ip: string } | undefined> {
  if (event.session_id === null || event.at - event.user_created_at < YOUNG_MS) return undefined;
  const id = idFromBytes(event.session_id);
  const session = await database.one<SessionRow>(selectSession(id));
  if (session === undefined || session.ip === null || session.user_agent === null) return undefined;
  const block = addressBlock(session.ip);
  const softwareOf = await softwareNames();
  const device = deviceOf(unpackUserAgent(session.user_agent), softwareOf);
  if (block === undefined || device === undefined) return undefined;
  const userId = idFromBytes(session.user_id);
  const before = await database.all<SessionRow>(
    selectSessions({ userId, before: id, rows: limits.sessionsComparedMax }),
  );
  if (before.length === 0) return undefined;
  const isKnownPlace = before.some(({ ip }) => addressBlock(ip ?? undefined) === block);
  if (isKnownPlace) return undefined;
  // Most sessions of somebody are of few browsers, and reading what one calls itself is dear.
  const known = new Set(before.map(({ user_agent: userAgent }) => userAgent));
  const isKnown = [...known].some(
    (userAgent) => userAgent !== null && deviceOf(unpackUserAgent(userAgent), softwareOf) === device,
  );
  return isKnown ? undefined : { device, ip: session.ip };
}

/** Browser and system, as the notice names them. A version more is no other device. */
export function deviceOf(userAgent: string, softwareOf: SoftwareOf): string | undefined {
  const { browser, system } = softwareOf(userAgent);
  return [browser, system].filter((one) => one !== undefined).join(", ") || undefined;
}
