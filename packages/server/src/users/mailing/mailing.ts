import type { KeyObject } from "node:crypto";
import type { Clock } from "../../primitives/clock.ts";
import type { RateLimits } from "../../rate-limits/rate-limits.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { Database } from "../../storage/database.ts";
import type { Arrivals } from "../arrivals.ts";
import type { NewPasswords } from "../new-passwords.ts";
import type { Passwords } from "../password-hashing.ts";
import { createAddresses } from "./addresses.ts";
import { createAskerTickets } from "./asker-tickets.ts";
import { createAsking } from "./asking.ts";
import { createComposing } from "./composing.ts";
import { createMailCodes } from "./mail-codes.ts";
import { createMailSignIn } from "./mail-sign-in.ts";
import type { MailDoor } from "./queued.ts";
import { createReset } from "./reset.ts";

export type Mailing = ReturnType<typeof createMailing>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  /** `secrets.key("mail-code")` */
  readonly key: KeyObject;
  readonly settings: { readonly issuer: string };
  readonly rateLimits: RateLimits;
  readonly passwords: Pick<Passwords, "hash">;
  readonly newPasswords: NewPasswords;
  readonly sessions: Pick<Sessions, "endAllOfUserStatements" | "announceEnded">;
  readonly arrivals: Pick<Arrivals, "arrive">;
  readonly mail: MailDoor;
}

/** What people do by mail: confirm an address, change it, choose a new password, sign in. */
export function createMailing(given: Dependencies) {
  const codes = createMailCodes(given);
  const tickets = createAskerTickets(given);
  const parts = { ...given, codes, tickets };
  return {
    isOn: given.mail.isOn,
    ask: createAsking(parts),
    addresses: createAddresses(parts),
    passwordReset: createReset(parts),
    mailSignIn: createMailSignIn(parts),
    composeCodeLetter: createComposing(parts),
    /** Deletes what nobody can use any more. */
    deletePast: codes.deletePast,
  };
}
