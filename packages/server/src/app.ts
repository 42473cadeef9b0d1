import { createGuard, type Guard } from "@keyturn/guard";
import { loginEndpoint } from "./account-api/login.ts";
import { logoutEndpoint } from "./account-api/logout.ts";
import { meEndpoint } from "./account-api/me.ts";
import { refreshEndpoint } from "./account-api/refresh.ts";
import { registerEndpoint } from "./account-api/register.ts";
import { revocationsEndpoint } from "./account-api/revocations.ts";
import { serviceEndpoints } from "./account-api/service.ts";
import { sessionEndpoints } from "./account-api/sessions.ts";
import { createAudit } from "./audit/audit.ts";
import { createClients } from "./clients/clients.ts";
import { parseSettings, type ResolvedSettings, type SettingsInput } from "./config.ts";
import { createAuthentication } from "./http/authenticate.ts";
import type { Endpoint } from "./http/endpoint.ts";
import { deleteExpiredJob, startJobs } from "./jobs/jobs.ts";
import { createSecrets, loadMasterSecrets } from "./keys/secrets.ts";
import { createSigningKeys } from "./keys/signing-keys.ts";
import { createLog, type Log } from "./observability/log.ts";
import { createMetrics } from "./observability/metrics.ts";
import { openApiDocument } from "./openapi.ts";
import type { Clock } from "./primitives/clock.ts";
import { createRateLimits } from "./rate-limits/rate-limits.ts";
import { createRouter } from "./routes.ts";
import { createRevocations } from "./sessions/revocations.ts";
import { createSessions } from "./sessions/sessions.ts";
import { createTurning } from "./sessions/turning.ts";
import type { Database } from "./storage/database.ts";
import { migrate } from "./storage/migrate.ts";
import { openDatabase } from "./storage/open.ts";
import { createAccessTokens } from "./tokens/access-token.ts";
import { createIdTokens } from "./tokens/id-token.ts";
import { createRefreshTokens } from "./tokens/refresh-token.ts";
import { createPasswords } from "./users/password-hashing.ts";
import { createSignIn } from "./users/sign-in.ts";
import { createUsers } from "./users/users.ts";
import { version } from "./version.ts";

export interface AppOptions {
  readonly log?: Log | undefined;
  /** Takes the place of the database's clock. For tests. */
  readonly clock?: Clock | undefined;
  /** Told of each migration that an opening runs. */
  readonly onMigration?: ((done: { version: number; name: string }) => void) | undefined;
}

export type App = Awaited<ReturnType<typeof createApp>>;

/**
 * The composition root: opens the database, brings it up to date, and builds every part once, in order, by hand.
 * @throws WrongSetting, DatabaseUnavailable with one sentence that says what to do
 */
export async function createApp(input: SettingsInput, options: AppOptions = {}) {
  const settings = parseSettings(input);
  const log = options.log ?? createLog(settings);
  const secrets = createSecrets(loadMasterSecrets(settings.secret, `${settings.data}/secret`));
  const database = await openDatabase({
    url: settings.database,
    log,
    ...(options.clock && { clock: options.clock }),
  });
  try {
    await migrate(database, { onProgress: (done) => options.onMigration?.(done) });
    const rooms = await openRooms({ settings, log, secrets, database });
    return { ...rooms, ...openDoors({ ...rooms, settings, log, database }), settings, log, database };
  } catch (error) {
    await database.close();
    throw error;
  }
}

interface Ground {
  readonly settings: ResolvedSettings;
  readonly log: Log;
  readonly secrets: ReturnType<typeof createSecrets>;
  readonly database: Database;
}

/** What knows nothing of HTTP: users, sessions, keys, tokens. */
async function openRooms({ settings, log, secrets, database }: Ground) {
  const { clock } = database;
  const { issuer } = settings;
  const audit = createAudit({ database });
  const signingKeys = createSigningKeys({ database, secrets, clock, settings, log });
  await signingKeys.start();
  const revocations = createRevocations({ database, clock, log });
  await revocations.start();
  const onEnded = () => void revocations.wake();
  const refreshTokens = createRefreshTokens(secrets.refreshKeys);
  const sessions = createSessions({ database, clock, refreshTokens, settings, onEnded });
  const attemptDigestKey = (keyId: number) => secrets.key("attempt-key", keyId);
  const turning = createTurning({ database, refreshTokens, attemptDigestKey, settings, onEnded, log });
  const accessTokens = createAccessTokens({ signingKeys, issuer, settings, clock, log });
  const idTokens = createIdTokens({ signingKeys, issuer, settings, clock });
  const passwords = createPasswords({ settings });
  const rateLimits = createRateLimits({ database, clock, key: secrets.key("rate-limit") });
  const users = createUsers({ database, clock, passwords, sessions, rateLimits });
  const signIn = createSignIn({ database, clock, passwords, sessions, rateLimits });
  const clients = createClients({ database, clock });
  return {
    audit,
    signingKeys,
    revocations,
    sessions,
    turning,
    accessTokens,
    idTokens,
    passwords,
    rateLimits,
    users,
    signIn,
    clients,
  };
}

type Rooms = Awaited<ReturnType<typeof openRooms>> & Omit<Ground, "secrets">;

/** What speaks HTTP, and what runs by the clock. */
function openDoors(rooms: Rooms) {
  const { settings, log, database, signingKeys, revocations, sessions, turning, clients } = rooms;
  const { clock } = database;
  let isStopping = false;

  /** A guard in this process: keys and revocations without a network. */
  function localGuard(audience: string | readonly string[] = settings.audience): Guard {
    return createGuard({
      issuer: settings.issuer,
      audience,
      now: () => clock.now(),
      source: {
        jwks: () => ({ keys: signingKeys.jwks().keys }),
        onKeysChanged: signingKeys.onChange,
        follow: revocations.follow,
      },
    });
  }

  const guard = localGuard();
  const authentication = createAuthentication({ guard, sessions, clients });
  const metrics = createMetrics({ feedReaders: revocations.followers });
  const parts = { ...rooms, clock, metrics, authenticate: authentication.user };
  let openApiText: string | undefined;
  const openApi = () =>
    (openApiText ??= JSON.stringify(openApiDocument(endpoints, { issuer: settings.issuer, version })));
  const endpoints: Endpoint[] = [
    registerEndpoint(parts),
    loginEndpoint(parts),
    refreshEndpoint(parts),
    logoutEndpoint(parts),
    meEndpoint(parts),
    ...sessionEndpoints(parts),
    revocationsEndpoint(parts),
    ...serviceEndpoints({ ...parts, version, openApi, isStopping: () => isStopping }),
  ];
  const router = createRouter({ endpoints, authentication, settings, metrics, log });
  const jobs = startJobs(
    [
      { name: "signing-keys", everySeconds: 5, run: () => signingKeys.tick() },
      deleteExpiredJob({ ...rooms, clock, auditDays: settings.auditDays }),
    ],
    log,
  );
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    await jobs.stop();
    await turning.drained();
    guard.close();
    revocations.stop();
    await rooms.passwords.close();
    await database.close();
  }

  return {
    endpoints,
    router,
    guard,
    localGuard,
    /** From now on /readyz answers 503, so that a load balancer sends nothing more. */
    stopping() {
      isStopping = true;
    },
    /** Lets what is under way end, then closes the database. Idempotent. */
    close: () => (closing ??= close()),
  };
}
