import type { ClientAccess } from "./app-clients.ts";
import { createClientAuthentication } from "./clients/client-authentication.ts";
import type { ResolvedSettings } from "./config.ts";
import { createConsents } from "./consents/consents.ts";
import type { Endpoint } from "./http/endpoint.ts";
import type { Proofs } from "./http/proofs.ts";
import type { SigningKeys } from "./keys/signing-keys.ts";
import { createApplications } from "./oauth/applications.ts";
import { createAuthorizationRequests } from "./oauth/authorization-request.ts";
import { createCodes } from "./oauth/codes.ts";
import { authorizationCodeGrant } from "./oauth/grants/authorization-code.ts";
import type { Grant } from "./oauth/grants/grant.ts";
import { createInteraction } from "./oauth/interaction.ts";
import { createIssuing } from "./oauth/issuing.ts";
import { createKeptRequests } from "./oauth/kept-requests.ts";
import { discoveryEndpoints } from "./oauth/metadata.ts";
import { pushedRequestsEndpoint } from "./oauth/pushed-requests.ts";
import { registrationEndpoints } from "./oauth/register.ts";
import { createRequestObjects, type VerifyClientJwt } from "./oauth/request-objects.ts";
import { createResources } from "./oauth/resources.ts";
import type { Subjects } from "./oauth/subjects.ts";
import { tokenEndpoint } from "./oauth/token.ts";
import type { Clock } from "./primitives/clock.ts";
import type { RateLimits } from "./rate-limits/rate-limits.ts";
import type { RightsReader } from "./sessions/rights.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { Database } from "./storage/database.ts";
import type { AccessTokens } from "./tokens/access-token.ts";
import type { IdTokens } from "./tokens/id-token.ts";
import type { IdTokenHints } from "./tokens/id-token-hint.ts";
import type { Factors } from "./users/factors/factors.ts";
import type { Users } from "./users/users.ts";

interface Parts {
  readonly settings: ResolvedSettings;
  readonly database: Database;
  readonly clock: Clock;
  readonly rateLimits: RateLimits;
  readonly clientAccess: ClientAccess;
  readonly accessTokens: AccessTokens;
  readonly idTokens: IdTokens;
  readonly proofs: Proofs;
  readonly subjects: Subjects;
  readonly signingKeys: SigningKeys;
  readonly idTokenHints: IdTokenHints;
  readonly sessions: Sessions;
  readonly rights: RightsReader;
  readonly users: Users;
  readonly factors: Pick<Factors, "ownedBy">;
}

/** The part of the composition root that makes Keyturn an authorization server for other people's software. */
export function openOauth(parts: Parts) {
  const { findClient, noteUse, registrations, forgetting, ...checks } = parts.clientAccess;
  const byCredentials = createClientAuthentication({ findClient, ...checks });
  const authenticateClient: typeof byCredentials = async (presented) =>
    noteUse(await byCredentials(presented));
  const resources = createResources(parts);
  const issuing = createIssuing(parts);
  const authorization = openAuthorization({
    ...parts,
    resources,
    findClient,
    verifyClientJwt: checks.jwts.verify,
  });
  const grants: Grant[] = [authorizationCodeGrant({ ...parts, codes: authorization.codes, issuing })];
  const endpoints: Endpoint[] = [
    tokenEndpoint({ ...parts, grants }),
    ...registrationEndpoints({ ...parts, registrations }),
    pushedRequestsEndpoint({ ...parts, ...authorization }),
    ...discoveryEndpoints({ ...parts, ...authorization, resources, grants }),
  ];
  const { kept, codes } = authorization;
  return {
    authenticateClient,
    findClient,
    endpoints,
    issuing,
    forgetting,
    ...authorization,
    /** What nobody needs any more. */
    deletePast: () => Promise.all([kept.deletePast(), codes.deletePast()]),
  };
}

/** The way of a person: requests, what they are asked, codes. */
function openAuthorization(
  parts: Parts & {
    readonly resources: ReturnType<typeof createResources>;
    readonly findClient: Parameters<typeof createAuthorizationRequests>[0]["findClient"];
    readonly verifyClientJwt: VerifyClientJwt | undefined;
  },
) {
  const { idTokenHints, subjects, factors } = parts;
  const requests = createAuthorizationRequests({
    ...parts,
    async subjectOfHint(token, client) {
      const hint = await idTokenHints.read(token);
      return hint?.clientId === client.id ? hint.subject : undefined;
    },
  });
  const kept = createKeptRequests(parts);
  // Their signatures are checked by what checks those of assertions.
  const requestObjects = createRequestObjects({ ...parts, verify: parts.verifyClientJwt });
  const codes = createCodes(parts);
  const consents = createConsents({ ...parts, announceEnded: parts.sessions.announceEnded });
  const interaction = createInteraction({
    ...parts,
    requests,
    kept,
    requestObjects,
    codes,
    consents,
    subjects,
    secondFactorOf: factors.ownedBy,
  });
  const applications = createApplications({ ...parts, consents });
  return { requests, kept, requestObjects, codes, consents, interaction, applications };
}
