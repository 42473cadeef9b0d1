import type { Guard } from "@keyturn/guard";
import type { PresentedClient } from "./clients/client-authentication.ts";
import { createClientAuthentication } from "./clients/client-authentication.ts";
import type { Clients } from "./clients/clients.ts";
import { createKnownClients } from "./clients/known-clients.ts";
import type { ResolvedSettings } from "./config.ts";
import type { ClientLook } from "./http/authenticate.ts";
import type { Endpoint } from "./http/endpoint.ts";
import type { Proofs } from "./http/proofs.ts";
import type { SigningKeys } from "./keys/signing-keys.ts";
import { deviceEndpoint } from "./oauth/device.ts";
import type { DeviceCodes } from "./oauth/device-codes.ts";
import { clientCredentialsGrant } from "./oauth/grants/client-credentials.ts";
import { deviceCodeGrant } from "./oauth/grants/device-code.ts";
import type { Grant } from "./oauth/grants/grant.ts";
import { refreshTokenGrant } from "./oauth/grants/refresh-token.ts";
import { tokenExchangeGrant } from "./oauth/grants/token-exchange.ts";
import { introspectEndpoint } from "./oauth/introspect.ts";
import { createIssuing } from "./oauth/issuing.ts";
import { discoveryEndpoints } from "./oauth/metadata.ts";
import { createResources } from "./oauth/resources.ts";
import { revokeEndpoint } from "./oauth/revoke.ts";
import type { Subjects } from "./oauth/subjects.ts";
import { tokenEndpoint } from "./oauth/token.ts";
import { userinfoEndpoints } from "./oauth/userinfo.ts";
import type { Metrics } from "./observability/metrics.ts";
import type { Clock } from "./primitives/clock.ts";
import type { RightsReader } from "./sessions/rights.ts";
import type { Sessions } from "./sessions/sessions.ts";
import { createStandings } from "./sessions/standing.ts";
import type { Turning } from "./sessions/turning.ts";
import type { Database } from "./storage/database.ts";
import type { AccessTokens } from "./tokens/access-token.ts";
import type { IdTokens } from "./tokens/id-token.ts";
import { createOwnTokens } from "./tokens/own-tokens.ts";
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
  readonly turning: Turning;
  readonly sessions: Sessions;
  readonly rights: RightsReader;
  readonly users: Users;
  readonly signingKeys: SigningKeys;
  readonly deviceCodes: DeviceCodes;
  readonly metrics: Metrics;
  /** Of tokens for the default audience, or for the issuer itself. */
  readonly userinfoGuard: () => Guard;
}

/** The part of the composition root that makes Keyturn an authorization server for other people's software. */
export function openOauth(parts: Parts) {
  const { clients, clock } = parts;
  const resources = createResources(parts);
  const issuing = createIssuing(parts);
  const ownTokens = createOwnTokens({ ...parts, issuer: parts.settings.issuer });
  const standings = createStandings(parts);
  const findClient = clients.find;
  const rooms = { ...parts, resources, issuing, ownTokens, standings, findClient };
  const grants: Grant[] = [
    refreshTokenGrant(rooms),
    clientCredentialsGrant(rooms),
    tokenExchangeGrant(rooms),
    deviceCodeGrant(rooms),
  ];
  const known = createKnownClients({ find: findClient, checkSecret: clients.authenticate, clock });
  const checkAssertion = async () => undefined;
  const fresh = createClientAuthentication({ findClient, checkSecret: clients.authenticate, checkAssertion });
  const remembered = createClientAuthentication({ ...known, checkAssertion });
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
    introspectEndpoint(rooms),
    revokeEndpoint(rooms),
    deviceEndpoint(rooms),
    ...userinfoEndpoints(rooms),
    ...discoveryEndpoints({ ...parts, resources, grants }),
  ];
  return { authenticateClient, endpoints, issuing };
}
