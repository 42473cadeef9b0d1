import type { ResolvedSettings } from "./config.ts";
import { createBreachLookups } from "./http/breach-lookups.ts";
import type { Secrets } from "./keys/secrets.ts";
import type { Log } from "./observability/log.ts";
import type { RateLimits } from "./rate-limits/rate-limits.ts";
import type { Grants } from "./roles/grants.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { Database } from "./storage/database.ts";
import { createCommonPasswords } from "./users/common-passwords.ts";
import { createFactors } from "./users/factors/factors.ts";
import { createHandovers } from "./users/handovers.ts";
import { createImporting } from "./users/importing.ts";
import { createMailing } from "./users/mailing/mailing.ts";
import type { MailDoor } from "./users/mailing/queued.ts";
import { createNewPasswords } from "./users/new-passwords.ts";
import type { Passwords } from "./users/password-hashing.ts";
import { createSignIn } from "./users/sign-in.ts";
import { createUsers } from "./users/users.ts";

interface Ground {
  readonly settings: ResolvedSettings;
  readonly log: Log;
  readonly database: Database;
  readonly secrets: Secrets;
  readonly passwords: Passwords;
  readonly rateLimits: RateLimits;
  readonly sessions: Sessions;
  readonly grants: Grants;
  readonly mail: MailDoor;
}

/** The part of the composition root that makes users, and every way in which they prove who they are. */
export function openPeople(ground: Ground) {
  const { settings, log, database, secrets, passwords, rateLimits, sessions, grants, mail } = ground;
  const { clock } = database;
  const breachLookups = createBreachLookups({ settings, clock, log });
  const newPasswords = createNewPasswords({
    settings,
    common: createCommonPasswords(),
    isBreached: breachLookups.isBreached,
  });
  const users = createUsers({
    database,
    clock,
    passwords,
    newPasswords,
    sessions,
    rateLimits,
    grants,
    mail,
  });
  const importing = createImporting({ database, clock });
  const challengeKey = secrets.key("passkey-challenge");
  const factors = createFactors({
    database,
    clock,
    secrets,
    challengeKey,
    settings,
    sessions,
    passwords,
    rateLimits,
    users,
    log,
  });
  const { arrivals } = factors;
  const signIn = createSignIn({ database, clock, passwords, arrivals, rateLimits });
  const mailing = createMailing({
    database,
    clock,
    key: secrets.key("mail-code"),
    settings,
    rateLimits,
    passwords,
    newPasswords,
    sessions,
    arrivals,
    mail,
  });
  const handovers = createHandovers({ database, clock, secrets, sessions, users, arrivals });
  return { breachLookups, users, importing, arrivals, factors, signIn, mailing, handovers };
}
