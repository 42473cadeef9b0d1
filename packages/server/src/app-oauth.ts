import { openClients } from "./app-clients.ts";
import { createClientAuthentication } from "./clients/client-authentication.ts";
import type { ClientRecords } from "./clients/client-records.ts";
import type { Clients } from "./clients/clients.ts";
import type { FetchDocument } from "./clients/sectors.ts";
import type { ResolvedSettings } from "./config.ts";
import type { Endpoint } from "./http/endpoint.ts";
import type { Proofs } from "./http/proofs.ts";
import type { Grant } from "./oauth/grants/grant.ts";
import { createIssuing } from "./oauth/issuing.ts";
import { discoveryEndpoints } from "./oauth/metadata.ts";
import { registrationEndpoints } from "./oauth/register.ts";
import { createResources } from "./oauth/resources.ts";
import type { Subjects } from "./oauth/subjects.ts";
import { tokenEndpoint } from "./oauth/token.ts";
import type { Log } from "./observability/log.ts";
import type { Clock } from "./primitives/clock.ts";
import type { RateLimits } from "./rate-limits/rate-limits.ts";
import type { Database } from "./storage/database.ts";
import type { AccessTokens } from "./tokens/access-token.ts";
import type { IdTokens } from "./tokens/id-token.ts";

interface Parts {
  readonly settings: ResolvedSettings;
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly rateLimits: RateLimits;
  readonly clients: Clients;
  readonly clientRecords: ClientRecords;
  readonly fetchDocument: FetchDocument;
  readonly accessTokens: AccessTokens;
  readonly idTokens: IdTokens;
  readonly proofs: Proofs;
  readonly subjects: Subjects;
}

/** The part of the composition root that makes Keyturn an authorization server for other people's software. */
export function openOauth(parts: Parts) {
  const { findClient, noteUse, registrations, forgetting, ...checks } = openClients(parts);
  const byCredentials = createClientAuthentication({ findClient, ...checks });
  const authenticateClient: typeof byCredentials = async (presented) =>
    noteUse(await byCredentials(presented));
  const resources = createResources(parts);
  const issuing = createIssuing(parts);
  const grants: Grant[] = [];
  const endpoints: Endpoint[] = [
    tokenEndpoint({ ...parts, grants }),
    ...registrationEndpoints({ ...parts, registrations }),
    ...discoveryEndpoints({ ...parts, resources, grants }),
  ];
  return { authenticateClient, findClient, endpoints, issuing, forgetting };
}
