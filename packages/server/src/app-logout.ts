import type { ClientAccess } from "./app-clients.ts";
import type { ResolvedSettings } from "./config.ts";
import { createOutgoing } from "./http/outgoing.ts";
import type { SigningKeys } from "./keys/signing-keys.ts";
import { createBackChannelLogout } from "./oauth/back-channel-logout.ts";
import { createLogoutInteraction } from "./oauth/interaction-logout.ts";
import type { Subjects } from "./oauth/subjects.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { Database } from "./storage/database.ts";
import { createIdTokenHints } from "./tokens/id-token-hint.ts";

interface Parts {
  readonly settings: ResolvedSettings;
  readonly database: Database;
  readonly signingKeys: SigningKeys;
  readonly sessions: Sessions;
  readonly findClient: ClientAccess["findClient"];
  readonly subjects: Subjects;
}

/** The part of the composition root that signs people out of applications, and at their request. */
export function openLogout(parts: Parts) {
  const { settings, database, findClient, subjects, sessions, signingKeys } = parts;
  const idTokenHints = createIdTokenHints({ signingKeys, issuer: settings.issuer });
  return {
    idTokenHints,
    logoutInteraction: createLogoutInteraction({ findClient, idTokenHints, subjects, sessions }),
    backChannelLogout: createBackChannelLogout({
      database,
      clock: database.clock,
      signingKeys,
      subjects,
      findClient,
      settings,
      send: createOutgoing({ settings }),
    }),
  };
}
