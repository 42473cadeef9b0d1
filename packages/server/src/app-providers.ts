import type { ResolvedSettings } from "./config.ts";
import { createOutgoing } from "./http/outgoing.ts";
import type { Secrets } from "./keys/secrets.ts";
import type { Log } from "./observability/log.ts";
import { createAttempts } from "./providers/attempts.ts";
import { createFlow } from "./providers/flow.ts";
import { createForeign } from "./providers/foreign.ts";
import { createKeptTokens } from "./providers/kept-tokens.ts";
import { createProviders } from "./providers/providers.ts";
import type { RateLimits } from "./rate-limits/rate-limits.ts";
import type { Database } from "./storage/database.ts";
import type { Arrivals } from "./users/arrivals.ts";
import { createIdentities } from "./users/identities.ts";
import type { MailDoor } from "./users/mailing/queued.ts";

interface Ground {
  readonly settings: ResolvedSettings;
  readonly log: Log;
  readonly database: Database;
  readonly secrets: Secrets;
  readonly arrivals: Arrivals;
  readonly rateLimits: RateLimits;
  readonly mail: MailDoor;
}

/** The part of the composition root that makes what signs people in with someone else's provider. */
export function openProviders(ground: Ground) {
  const { settings, log, database, secrets, arrivals, rateLimits, mail } = ground;
  const { clock } = database;
  const providers = createProviders({ database, clock, secrets });
  const identities = createIdentities({ database, clock, mail });
  const providerAttempts = createAttempts({ database, clock, secrets });
  const foreign = createForeign({ clock, outgoing: createOutgoing({ settings }) });
  const keptTokens = createKeptTokens({ database, clock, log, secrets, providers, foreign });
  const providerFlow = createFlow({
    database,
    clock,
    log,
    settings,
    providers,
    attempts: providerAttempts,
    foreign,
    identities,
    arrivals,
    rateLimits,
    keptTokens,
  });
  return { providers, identities, providerAttempts, providerFlow, keptTokens };
}
