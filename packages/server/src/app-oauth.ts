import { createClientAuthentication } from "./clients/client-authentication.ts";
import type { Clients } from "./clients/clients.ts";
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
import { createIdTokenHints } from "./tokens/id-token-hint.ts";
import type { Factors } from "./users/factors/factors.ts";
import type { Users } from "./users/users.ts";

interface Parts {
  readonly settings: ResolvedSettings;
  readonly database: Database;
  readonly clock: Clock;
  readonly clients: Clients;
  readonly accessTokens: AccessTokens;
  readonly idTokens: IdTokens;
  readonly proofs: Proofs;
  readonly subjects: Subjects;
  readonly signingKeys: SigningKeys;
  readonly sessions: Sessions;
  readonly rights: RightsReader;
  readonly users: Users;
  readonly factors: Pick<Factors, "ownedBy">;
  readonly rateLimits: RateLimits;
}

/** The part of the composition root that makes Keyturn an authorization server for other people's software. */
export function openOauth(parts: Parts) {
  const { clients } = parts;
  const resources = createResources(parts);
  const issuing = createIssuing(parts);
  const authorization = openAuthorization({
    ...parts,
    resources,
    findClient: clients.find,
    verifyClientJwt: undefined,
  });
  const grants: Grant[] = [authorizationCodeGrant({ ...parts, codes: authorization.codes, issuing })];
  const authenticateClient = createClientAuthentication({
    findClient: clients.find,
    checkSecret: clients.authenticate,
    checkAssertion: async () => undefined,
  });
  const endpoints: Endpoint[] = [
    tokenEndpoint({ ...parts, grants }),
    pushedRequestsEndpoint({ ...parts, ...authorization }),
    ...discoveryEndpoints({ ...parts, ...authorization, resources, grants }),
  ];
  const { kept, codes } = authorization;
  return {
    authenticateClient,
    endpoints,
    issuing,
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
  const { settings, subjects, factors } = parts;
  const hints = createIdTokenHints({ ...parts, issuer: settings.issuer });
  const requests = createAuthorizationRequests({
    ...parts,
    async subjectOfHint(token, client) {
      const hint = await hints.read(token);
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
