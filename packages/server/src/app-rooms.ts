import { existsSync } from "node:fs";
import { openProviders } from "./app-providers.ts";
import { createAudit } from "./audit/audit.ts";
import { createClients } from "./clients/clients.ts";
import { type ResolvedSettings, WrongSetting } from "./config.ts";
import { settingNotes } from "./config-notes.ts";
import { createProofs } from "./http/proofs.ts";
import { createSecrets, loadMasterSecrets, type Secrets } from "./keys/secrets.ts";
import { selectAllKeys } from "./keys/signing-keys.sql.ts";
import { createSigningKeys } from "./keys/signing-keys.ts";
import { createDeviceCodes } from "./oauth/device-codes.ts";
import { createSubjects } from "./oauth/subjects.ts";
import type { Log } from "./observability/log.ts";
import type { Clock } from "./primitives/clock.ts";
import { createRateLimits } from "./rate-limits/rate-limits.ts";
import { createGrants } from "./roles/grants.ts";
import { createReminting } from "./roles/reminting.ts";
import { createRoles } from "./roles/roles.ts";
import { createBrowsing } from "./sessions/browsing.ts";
import { createRevocations } from "./sessions/revocations.ts";
import { createRights } from "./sessions/rights.ts";
import { createSessions } from "./sessions/sessions.ts";
import { createTurning } from "./sessions/turning.ts";
import { type Database, DatabaseUnavailable } from "./storage/database.ts";
import { migrate, pendingMigrations } from "./storage/migrate.ts";
import { openDatabase } from "./storage/open.ts";
import { createAccessTokens } from "./tokens/access-token.ts";
import { createIdTokens } from "./tokens/id-token.ts";
import { createRefreshTokens } from "./tokens/refresh-token.ts";
import { createSessionCookies } from "./tokens/session-cookie.ts";
import { createFactors } from "./users/factors/factors.ts";
import { createImporting } from "./users/importing.ts";
import { createPasswords } from "./users/password-hashing.ts";
import { createSignIn } from "./users/sign-in.ts";
import { createUsers } from "./users/users.ts";

export interface RoomsOptions {
  readonly log: Log;
  /** Takes the place of the database's clock. For tests. */
  readonly clock?: Clock | undefined;
  /** The database of the settings, if it is being opened already; it is closed with the rooms. */
  readonly database?: Promise<Database> | undefined;
  /** False: tables that are missing or old are refused instead of made. Default: true. */
  readonly migrate?: boolean | undefined;
  /** Told of each migration that an opening runs. */
  readonly onMigration?: ((done: { version: number; name: string }) => void) | undefined;
}

export type Rooms = Awaited<ReturnType<typeof openRooms>>;

/**
 * Opens the database, brings it up to date, and builds what knows nothing of HTTP: users, sessions, keys, tokens.
 * Nothing runs by the clock, and no key is made or opened, until `start`: the command line works in these rooms
 * without it, beside a running server.
 * @throws WrongSetting, DatabaseUnavailable, DatabaseTooNew with one sentence that says what to do
 */
export async function openRooms(settings: ResolvedSettings, options: RoomsOptions) {
  const { log } = options;
  const database = await (options.database ??
    openDatabase({ url: settings.database, log, ...(options.clock && { clock: options.clock }) }));
  try {
    const pending = await pendingMigrations(database);
    if (options.migrate === false && pending.length > 0) throw tablesMissing(pending.length);
    // Before any table is changed: a start without the right secret must not have upgraded the database.
    const secrets = createSecrets(await findMasterSecrets(settings, { database, pending }));
    if (pending.length > 0) await migrate(database, { onProgress: (done) => options.onMigration?.(done) });
    return roomsOn({ settings, log, database, secrets });
  } catch (error) {
    await database.close();
    throw error;
  }
}

function tablesMissing(migrations: number): DatabaseUnavailable {
  const lacks = migrations === 1 ? "a migration" : `${migrations} migrations`;
  return new DatabaseUnavailable(`The database lacks ${lacks}: run keyturn migrate, or start the server`);
}

/** A secret of its own is made for a new database only: any other has keys that it would not open. */
async function findMasterSecrets(
  settings: ResolvedSettings,
  { database, pending }: { database: Database; pending: readonly { version: number }[] },
): Promise<Buffer[]> {
  const file = `${settings.data}/secret`;
  const isNew = pending.some(({ version }) => version === 1);
  const isMissing = settings.secret === undefined && !existsSync(file);
  if (isMissing && !isNew && (await database.one(selectAllKeys(1)))) {
    throw new WrongSetting(
      `${settingNotes.secret.variable} is not set and there is no file ${file}, but the database has keys that a master secret closed; give that secret, or the data folder in which it lies.`,
    );
  }
  return loadMasterSecrets(settings.secret, file);
}

interface Ground {
  readonly settings: ResolvedSettings;
  readonly log: Log;
  readonly database: Database;
  readonly secrets: Secrets;
}

function roomsOn({ settings, log, database, secrets }: Ground) {
  const { clock } = database;
  const { issuer } = settings;
  const audit = createAudit({ database });
  const signingKeys = createSigningKeys({ database, secrets, clock, settings, log });
  const revocations = createRevocations({ database, clock, log });
  let started = false;
  // Without a start nobody in this process follows: the poll of the running servers finds what was ended here.
  const onEnded = async () => {
    if (started) await revocations.wake();
  };
  const refreshTokens = createRefreshTokens(secrets.refreshKeys);
  const sessionCookies = createSessionCookies({
    currentKeyId: secrets.refreshKeys.currentId,
    keys: secrets.keys("session-cookie"),
  });
  const proofs = createProofs({
    currentKeyId: secrets.refreshKeys.currentId,
    keys: secrets.keys("dpop-nonce"),
    clock,
  });
  const sessions = createSessions({ database, clock, refreshTokens, sessionCookies, settings, onEnded });
  const browsing = createBrowsing({ database, clock, sessionCookies, settings, log });
  const attemptDigestKey = (keyId: number) => secrets.key("attempt-key", keyId);
  const turning = createTurning({ database, refreshTokens, attemptDigestKey, settings, onEnded, log });
  const rights = createRights({ database, clock, settings });
  const accessTokens = createAccessTokens({ signingKeys, issuer, settings, clock, log });
  const idTokens = createIdTokens({ signingKeys, issuer, settings, clock });
  const passwords = createPasswords({ settings });
  const rateLimits = createRateLimits({ database, clock, key: secrets.key("rate-limit") });
  const reminting = createReminting({ database, clock, announce: onEnded });
  const roles = createRoles({ database, reminting });
  const grants = createGrants({ reminting });
  const users = createUsers({ database, clock, passwords, sessions, rateLimits, grants });
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
  const clients = createClients({ database, clock });
  const subjects = createSubjects({ database });
  const deviceCodes = createDeviceCodes({ database, clock, key: secrets.key("user-code"), rateLimits });
  const foreign = openProviders({ settings, log, database, secrets, arrivals, rateLimits });
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    await turning.drained();
    await browsing.drained();
    revocations.stop();
    await passwords.close();
    await database.close();
  }

  return {
    settings,
    log,
    database,
    audit,
    signingKeys,
    revocations,
    sessions,
    browsing,
    proofs,
    turning,
    rights,
    accessTokens,
    idTokens,
    passwords,
    rateLimits,
    roles,
    grants,
    users,
    importing,
    arrivals,
    factors,
    signIn,
    clients,
    ...foreign,
    subjects,
    deviceCodes,
    formTokenKey: secrets.key("form-token"),
    /**
     * Makes the keys that are missing, opens them, and begins to follow what other processes revoke.
     * @throws WrongSetting when no master secret opens a current key
     */
    async start(): Promise<void> {
      await signingKeys.start();
      await revocations.start();
      await foreign.providers.refresh();
      await subjects.start();
      started = true;
    },
    /** Lets what is under way end, then closes the database. Idempotent. */
    close: () => (closing ??= close()),
  };
}
