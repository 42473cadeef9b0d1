import { type FactorKind, removeFactors, showFactors } from "../../admin/commands/factors.ts";
import { type Context, inRooms } from "../open.ts";
import { type Outcome, type Refused, refused } from "../outcome.ts";
import { isoTime, readableTime, record, table } from "../terminal.ts";

export function list(context: Context, name: string): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const found = await showFactors(rooms, name);
    if (found.outcome !== "found") return unknownUser(name);
    const { user, owned } = found;
    const passkeys = owned.passkeys.map((passkey) => ({
      id: passkey.id,
      name: passkey.name,
      syncable: passkey.isSyncable,
      createdAt: isoTime(passkey.createdAt),
      usedAt: isoTime(passkey.usedAt),
    }));
    const rows = owned.passkeys.map(({ id, name, createdAt, usedAt }) => [
      name,
      id,
      readableTime(createdAt),
      usedAt === undefined ? "" : readableTime(usedAt),
    ]);
    const facts = record({
      "authenticator app": owned.totp ? "on" : "off",
      "recovery codes": `${owned.recoveryCodes} left`,
      passkeys: String(rows.length),
    });
    return {
      outcome: "done",
      json: {
        id: user.id,
        username: user.username,
        totp: owned.totp,
        recoveryCodes: owned.recoveryCodes,
        passkeys,
      },
      text: rows.length === 0 ? facts : `${facts}\n${table(["PASSKEY", "ID", "ADDED", "LAST USED"], rows)}`,
    };
  });
}

export interface RemoveOptions {
  readonly kind: FactorKind;
  readonly keepSessions?: boolean;
}

export function remove(context: Context, name: string, options: RemoveOptions): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const removed = await removeFactors(rooms, { name, ...options });
    if (removed.outcome === "unknown_user") return unknownUser(name);
    const { user, outcome, ended } = removed;
    const sessions = ended === 1 ? "1 session was ended" : `${ended} sessions were ended`;
    return {
      outcome: "done",
      json: { outcome, id: user.id, username: user.username, sessionsEnded: ended },
      text:
        outcome === "unchanged"
          ? `${user.username} had none of them.`
          : `${user.username} signs in without them from now on; ${sessions}.`,
    };
  });
}

function unknownUser(name: string): Refused {
  return refused("unknown_user", `There is no user ${name}; give an id, a username or an e-mail address.`);
}
