import { createGuard, type Guard, type GuardOptions } from "@keyturn/guard";
import { createCurrentSessions } from "./account-api/current-session.ts";
import { emailEndpoints } from "./account-api/email.ts";
import { factorEndpoints } from "./account-api/factors.ts";
import { forgottenEndpoints } from "./account-api/forgotten.ts";
import { handoverEndpoint } from "./account-api/handover.ts";
import { identityEndpoints } from "./account-api/identities.ts";
import { loginEndpoint } from "./account-api/login.ts";
import { logoutEndpoint } from "./account-api/logout.ts";
import { mailLoginEndpoints } from "./account-api/mail-login.ts";
import { meEndpoint } from "./account-api/me.ts";
import { passkeyEndpoints } from "./account-api/passkeys.ts";
import { passwordEndpoint } from "./account-api/password.ts";
import { recoveryEndpoint } from "./account-api/recovery.ts";
import { refreshEndpoint } from "./account-api/refresh.ts";
import { registerEndpoint } from "./account-api/register.ts";
import { revocationsEndpoint } from "./account-api/revocations.ts";
import { secondFactorEndpoints } from "./account-api/second-factor.ts";
import { serviceEndpoints } from "./account-api/service.ts";
import { sessionEndpoint } from "./account-api/session.ts";
import { sessionEndpoints } from "./account-api/sessions.ts";
import { stepUpEndpoints } from "./account-api/step-up.ts";
import { openOauth } from "./app-oauth.ts";
import { openPages } from "./app-pages.ts";
import { openRooms, type Rooms, type RoomsOptions } from "./app-rooms.ts";
import { settingsClientsProblems } from "./clients/settings-clients.ts";
import { parseSettings, WrongSetting } from "./config.ts";
import type { SettingsInput } from "./config-schema.ts";
import { type Hooks, parseHooks } from "./hooks.ts";
import { createAuthentication } from "./http/authenticate.ts";
import { createBrowserSessions } from "./http/browser-sessions.ts";
import { createCrossSite } from "./http/cross-site.ts";
import type { Endpoint } from "./http/endpoint.ts";
import { browserNonce } from "./http/form-token.ts";
import { createTraffic } from "./http/traffic.ts";
import { deleteExpiredJob, startJobs } from "./jobs/jobs.ts";
import { createNodeDoor } from "./node-door.ts";
import { scopesIn } from "./oauth/scopes.ts";
import { createLog } from "./observability/log.ts";
import { createMetrics } from "./observability/metrics.ts";
import { openApiDocument } from "./openapi.ts";
import { createPipeline } from "./pipeline.ts";
import { createRouter } from "./routes.ts";
import { createSessionReader } from "./session-reader.ts";
import type { Database } from "./storage/database.ts";
import { DatabaseTooNew, tablesAre } from "./storage/migrate.ts";
import { version } from "./version.ts";

export type AppOptions = Partial<RoomsOptions>;

/** What an API in this process may say of itself. */
export type LocalGuardOptions = Pick<GuardOptions, "resourceMetadata" | "dpop" | "origin" | "onEvent">;

export type App = Awaited<ReturnType<typeof createApp>>;

/**
 * The composition root: opens the database, brings it up to date, and builds every part once, in order, by hand.
 * @throws WrongSetting, DatabaseUnavailable, DatabaseTooNew, ServersMustStop with one sentence that says what to do
 */
export async function createApp(input: SettingsInput, options: AppOptions = {}) {
  const settings = parseSettings(input);
  const hooks = parseHooks(options.hooks);
  // The rules for clients stand above the settings' own; a command beside the server needs none of their secrets.
  const problems = settingsClientsProblems(settings.clients);
  if (problems.length > 0) {
    await (await options.database)?.close();
    throw new WrongSetting(problems.join("\n"));
  }
  const rooms = await openRooms(settings, { ...options, hooks, log: options.log ?? createLog(settings) });
  try {
    await rooms.start();
    return { ...rooms, ...openDoors(rooms, hooks, options.onOutdated) };
  } catch (error) {
    await rooms.close();
    throw error;
  }
}

/** What speaks HTTP, and what runs by the clock. */
function openDoors(rooms: Rooms, hooks: Hooks, onOutdated: AppOptions["onOutdated"] = () => {}) {
  const { settings, log, database, signingKeys, revocations, sessions, clients, proofs } = rooms;
  const { clock } = database;
  let isStopping = false;

  /** A guard in this process: keys and revocations without a network. */
  function localGuard(
    audience: string | readonly string[] = settings.audience,
    options: LocalGuardOptions = {},
  ): Guard {
    return createGuard({
      ...options,
      issuer: settings.issuer,
      audience,
      now: () => clock.now(),
      // Every node knows the others' nonces; a client uses the same ones at this server and at an API in its process.
      dpopNonces: proofs.nonces,
      source: {
        jwks: () => ({ keys: signingKeys.jwks().keys }),
        onKeysChanged: signingKeys.onChange,
        follow: revocations.follow,
      },
    });
  }

  const guard = localGuard();
  const crossSite = createCrossSite(settings);
  const browserSessions = createBrowserSessions({ ...rooms, clock });
  const currentSessions = createCurrentSessions({ ...rooms, clock });
  const metrics = createMetrics({
    feedReaders: revocations.followers,
    breachLookups: rooms.breachLookups.counts,
  });
  let ownGuard: Guard | undefined;
  // Made at its first use: it is one more that follows the feed.
  const userinfoGuard = () => (ownGuard ??= localGuard([settings.audience, settings.issuer]));
  const oauth = openOauth({ ...rooms, clock, metrics, userinfoGuard });
  const authentication = createAuthentication({
    guard,
    sessions,
    clients,
    browserSessions,
    crossSite,
    authenticateClient: oauth.authenticateClient,
  });
  const authenticate = authentication.user;
  const parts = {
    ...rooms,
    clock,
    hooks,
    metrics,
    authenticate,
    browserSessions,
    currentSessions,
    crossSite,
    browserOf: (request: { header(name: string): string | undefined }) =>
      browserNonce(request.header("cookie"), settings.issuer.startsWith("https:")) ?? "",
  };
  let openApiText: string | undefined;
  const openApi = () =>
    (openApiText ??= JSON.stringify(openApiDocument(endpoints, { issuer: settings.issuer, version })));
  const endpoints: Endpoint[] = [
    registerEndpoint(parts),
    loginEndpoint(parts),
    refreshEndpoint(parts),
    logoutEndpoint(parts),
    meEndpoint(parts),
    sessionEndpoint(parts),
    passwordEndpoint(parts),
    ...sessionEndpoints(parts),
    ...secondFactorEndpoints(parts),
    ...passkeyEndpoints(parts),
    ...stepUpEndpoints(parts),
    ...emailEndpoints(parts),
    ...forgottenEndpoints(parts),
    ...mailLoginEndpoints(parts),
    recoveryEndpoint(parts),
    handoverEndpoint(parts),
    ...factorEndpoints(parts),
    ...identityEndpoints(parts),
    revocationsEndpoint(parts),
    ...oauth.endpoints,
    ...serviceEndpoints({ ...parts, version, openApi, isStopping: () => isStopping }),
  ];
  const traffic = createTraffic();
  const { pages, routes } = openPages({
    ...parts,
    ...oauth,
    clients: { find: oauth.findClient },
    recordConsent: ({ scope, resources, ...who }) =>
      oauth.consents.grantStatements(who, { scopes: scopesIn(scope), resources }),
    traffic,
  });
  const pipeline = createPipeline({ endpoints, authentication, settings, metrics, log, traffic });
  const router = createRouter({ pipeline, pages: routes, settings, log });
  const nodeDoor = createNodeDoor({ pipeline, settings, log });
  const jobs = startJobs(
    [
      { name: "signing-keys", everySeconds: 5, run: () => signingKeys.tick() },
      { name: "providers", everySeconds: 5, run: () => rooms.providers.refresh() },
      { name: "provider-attempts", everySeconds: 600, run: () => rooms.providerAttempts.deletePast() },
      { name: "provider-tokens", everySeconds: 60, run: () => rooms.keptTokens.sealAnew() },
      { name: "logout-deliveries", everySeconds: 1, run: () => rooms.backChannelLogout.run() },
      { name: "logout-deliveries-past", everySeconds: 600, run: () => rooms.backChannelLogout.deletePast() },
      ...rooms.mail.jobs,
      { name: "tables", everySeconds: 5, run: () => assertTables(database, onOutdated) },
      // What other processes have ended; those of this one are noted before anybody is told.
      { name: "ended-sessions", everySeconds: 1, run: () => rooms.journal.note() },
      { name: "ended-sessions-past", everySeconds: 3600, run: () => rooms.journal.deletePast() },
      { name: "forgotten-clients", ...oauth.forgetting },
      { name: "authorization-requests", everySeconds: 600, run: oauth.deletePast },
      deleteExpiredJob({ ...rooms, clock, auditDays: settings.auditDays }),
    ],
    log,
  );
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    await jobs.stop();
    await traffic.close();
    guard.close();
    ownGuard?.close();
    await rooms.close();
  }

  return {
    endpoints,
    pages,
    oauth,
    router,
    nodeDoor,
    guard,
    localGuard,
    /** What the job does that forgets clients which nobody used; how many. */
    forgetClients: oauth.forgetting.run,
    sessionOf: createSessionReader({ browserSessions, currentSessions, crossSite, settings }),
    /** From now on /readyz answers 503, so that a load balancer sends nothing more. */
    stopping() {
      isStopping = true;
    },
    /** Lets what is under way end, then closes the database. Idempotent. */
    close: () => (closing ??= close()),
  };
}

/** Logged by whoever runs it, again and again: a node that cannot be trusted with its tables is to be replaced. */
async function assertTables(database: Database, onOutdated: (error: Error) => void): Promise<void> {
  try {
    await tablesAre(database);
  } catch (error) {
    if (error instanceof DatabaseTooNew) onOutdated(error);
    throw error;
  }
}
