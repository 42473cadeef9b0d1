import type { Guard } from "@keyturn/guard";
import type { ClientAccess } from "./app-clients.ts";
import type { PresentedClient } from "./clients/client-authentication.ts";
import { createClientAuthentication } from "./clients/client-authentication.ts";
import { createKnownClients } from "./clients/known-clients.ts";
import type { ResolvedSettings } from "./config.ts";
import { createConsents } from "./consents/consents.ts";
import type { ClientLook } from "./http/authenticate.ts";
import type { Endpoint } from "./http/endpoint.ts";
import type { Proofs } from "./http/proofs.ts";
import type { SigningKeys } from "./keys/signing-keys.ts";
import { createApplications } from "./oauth/applications.ts";
import { createAuthorizationRequests } from "./oauth/authorization-request.ts";
import { createCodes } from "./oauth/codes.ts";
import { deviceEndpoint } from "./oauth/device.ts";
import type { DeviceCodes } from "./oauth/device-codes.ts";
import { authorizationCodeGrant } from "./oauth/grants/authorization-code.ts";
import { clientCredentialsGrant } from "./oauth/grants/client-credentials.ts";
import { deviceCodeGrant } from "./oauth/grants/device-code.ts";
import type { Grant } from "./oauth/grants/grant.ts";
import { refreshTokenGrant } from "./oauth/grants/refresh-token.ts";
import { tokenExchangeGrant } from "./oauth/grants/token-exchange.ts";
import { createInteraction } from "./oauth/interaction.ts";
import { introspectEndpoint } from "./oauth/introspect.ts";
import { createIssuing } from "./oauth/issuing.ts";
import { createKeptRequests } from "./oauth/kept-requests.ts";
import { discoveryEndpoints } from "./oauth/metadata.ts";
import { pushedRequestsEndpoint } from "./oauth/pushed-requests.ts";
import { registrationEndpoints } from "./oauth/register.ts";
import { createRequestObjects, type VerifyClientJwt } from "./oauth/request-objects.ts";
import { createResources } from "./oauth/resources.ts";
import { revokeEndpoint } from "./oauth/revoke.ts";
import type { Subjects } from "./oauth/subjects.ts";
import { tokenEndpoint } from "./oauth/token.ts";
import { userinfoEndpoints } from "./oauth/userinfo.ts";
import type { Metrics } from "./observability/metrics.ts";
import type { Clock } from "./primitives/clock.ts";
import type { RateLimits } from "./rate-limits/rate-limits.ts";
import type { RightsReader } from "./sessions/rights.ts";
import type { Sessions } from "./sessions/sessions.ts";
import { createStandings } from "./sessions/standing.ts";
import type { Turning } from "./sessions/turning.ts";
import type { Database } from "./storage/database.ts";
import type { AccessTokens } from "./tokens/access-token.ts";
import type { IdTokens } from "./tokens/id-token.ts";
import type { IdTokenHints } from "./tokens/id-token-hint.ts";
import { createOwnTokens } from "./tokens/own-tokens.ts";
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
  readonly turning: Turning;
  readonly deviceCodes: DeviceCodes;
  readonly metrics: Metrics;
  /** Of tokens for the default audience, or for the issuer itself. */
  readonly userinfoGuard: () => Guard;
}

/** The part of the composition root that makes Keyturn an authorization server for other people's software. */
export function openOauth(parts: Parts) {
  const { clock } = parts;
  const { findClient, checkSecret, checkAssertion, noteUse, registrations, forgetting, jwts } =
    parts.clientAccess;
  const resources = createResources(parts);
  const issuing = createIssuing(parts);
  const ownTokens = createOwnTokens({ ...parts, issuer: parts.settings.issuer });
  const standings = createStandings(parts);
  const rooms = { ...parts, resources, issuing, ownTokens, standings, findClient };
  const authorization = openAuthorization({ ...rooms, verifyClientJwt: jwts.verify });
  const grants: Grant[] = [
    authorizationCodeGrant({ ...parts, codes: authorization.codes, issuing }),
    refreshTokenGrant(rooms),
    clientCredentialsGrant(rooms),
    tokenExchangeGrant(rooms),
    deviceCodeGrant(rooms),
  ];
  const known = createKnownClients({ find: findClient, checkSecret, clock });
  const used = (check: ReturnType<typeof createClientAuthentication>): typeof check => {
    return async (presented) => noteUse(await check(presented));
  };
  const fresh = used(createClientAuthentication({ findClient, checkSecret, checkAssertion }));
  const remembered = used(createClientAuthentication({ ...known, checkAssertion }));
  const authenticateClient = {
    fresh,
    remembered,
    anew: async (presented: PresentedClient) => {
      const client = await fresh(presented);
      if (client !== undefined) known.forget(client.id);
      return client;
    },
  } satisfies Record<ClientLook, typeof fresh>;
  const endpoints: Endpoint[] = [
    tokenEndpoint({ ...parts, grants }),
    ...registrationEndpoints({ ...parts, registrations }),
    pushedRequestsEndpoint({ ...parts, ...authorization }),
    introspectEndpoint(rooms),
    revokeEndpoint(rooms),
    deviceEndpoint(rooms),
    ...userinfoEndpoints(rooms),
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
