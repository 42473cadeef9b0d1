import { existsSync } from "node:fs";
import { openClients } from "./app-clients.ts";
import { openLogout } from "./app-logout.ts";
import { openMail } from "./app-mail.ts";
import { openPeople } from "./app-people.ts";
import { openProviders } from "./app-providers.ts";
import { createAudit } from "./audit/audit.ts";
import { createClientRecords } from "./clients/client-records.ts";
import { createClients } from "./clients/clients.ts";
import { registerSettingsClients } from "./clients/settings-clients.ts";
import { type ResolvedSettings, WrongSetting } from "./config.ts";
import { settingNotes } from "./config-notes.ts";
import type { Hooks } from "./hooks.ts";
import { createFetchDocument } from "./http/fetch-document.ts";
import { createOutgoing } from "./http/outgoing.ts";
import { createProofs } from "./http/proofs.ts";
import { createSecrets, loadMasterSecrets, type Secrets } from "./keys/secrets.ts";
import { selectAllKeys } from "./keys/signing-keys.sql.ts";
import { createSigningKeys } from "./keys/signing-keys.ts";
import { mailMode } from "./mail/mode.ts";
import { createDeviceCodes } from "./oauth/device-codes.ts";
import { createSubjects } from "./oauth/subjects.ts";
import type { Log } from "./observability/log.ts";
import type { Clock } from "./primitives/clock.ts";
import { limits } from "./primitives/limits.ts";
import { createRateLimits } from "./rate-limits/rate-limits.ts";
import { createGrants } from "./roles/grants.ts";
import { createReminting } from "./roles/reminting.ts";
import { createRoles } from "./roles/roles.ts";
import { createBrowsing } from "./sessions/browsing.ts";
import { endStatements } from "./sessions/end.ts";
import { createRevocationJournal, endedSessionsFolder } from "./sessions/revocation-journal.ts";
import { createRevocations } from "./sessions/revocations.ts";
import { createRights } from "./sessions/rights.ts";
import { createSessions } from "./sessions/sessions.ts";
import { createTurning } from "./sessions/turning.ts";
import { type Database, DatabaseUnavailable } from "./storage/database.ts";
import { migrate, pendingMigrations, tablesAre } from "./storage/migrate.ts";
import { openDatabase } from "./storage/open.ts";
import { createAccessTokens } from "./tokens/access-token.ts";
import { createIdTokens } from "./tokens/id-token.ts";
import { createRefreshTokens } from "./tokens/refresh-token.ts";
import { createSessionCookies } from "./tokens/session-cookie.ts";
import { createPasswords } from "./users/password-hashing.ts";

export interface RoomsOptions {
  readonly log: Log;
  /** Takes the place of the database's clock. For tests. */
  readonly clock?: Clock | undefined;
  /** The database of the settings, if it is being opened already; it is closed with the rooms. */
  readonly database?: Promise<Database> | undefined;
  /** False: tables that are missing or old are refused instead of made. Default: true. */
  readonly migrate?: boolean | undefined;
  /** Told, while it runs, when a newer Keyturn has made tables that this one cannot serve from. */
  readonly onOutdated?: ((error: Error) => void) | undefined;
  /** Told of each migration that an opening runs. */
  readonly onMigration?: ((done: { version: number; name: string }) => void) | undefined;
  readonly hooks?: Hooks | undefined;
  /** Where mails are printed in development. Default: the standard error stream. */
  readonly print?: ((text: string) => void) | undefined;
  /** True: mails stay in the outbox. For tests that take them out themselves. */
  readonly holdsMail?: boolean | undefined;
}

export type Rooms = Awaited<ReturnType<typeof openRooms>>;

/**
 * Opens the database, brings it up to date, and builds what knows nothing of HTTP: users, sessions, keys, tokens.
 * Nothing runs by the clock, and no key is made or opened, until `start`: the command line works in these rooms
 * without it, beside a running server.
 * @throws WrongSetting, DatabaseUnavailable, DatabaseTooNew, ServersMustStop with one sentence that says what to do
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
    if (pending.length === 0 && (await tablesAre(database)) === "newer")
      log.warn(
        {},
        "A newer Keyturn has changed the tables. This one runs on beside it, until the next upgrade",
      );
    if (pending.length > 0) await migrate(database, { onProgress: (done) => options.onMigration?.(done) });
    return roomsOn({ settings, log, database, secrets }, options);
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

function roomsOn({ settings, log, database, secrets }: Ground, { hooks, print, holdsMail }: RoomsOptions) {
  const { clock } = database;
  const { issuer } = settings;
  const audit = createAudit({ database });
  const signingKeys = createSigningKeys({ database, secrets, clock, settings, log });
  const revocations = createRevocations({ database, clock, log });
  let started = false;
  // Without a start nobody in this process follows: the poll of the running servers finds what was ended here.
  // Whoever is told that a session is over may rely on it, whatever becomes of the database (ARCHITECTURE, 18).
  const journal = createRevocationJournal({ folder: endedSessionsFolder(settings), database, log });
  const onEnded = async () => {
    await Promise.all([journal.note(), started && revocations.wake()]);
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
  // Who sends needs what is built below; until then nothing is asked for.
  const mailDoor = { isOn: mailMode(settings) !== "off", wake: () => {} };
  const people = openPeople({
    settings,
    log,
    database,
    secrets,
    passwords,
    rateLimits,
    sessions,
    grants,
    mail: mailDoor,
  });
  const { arrivals, mailing } = people;
  const clientRecords = createClientRecords({
    database,
    clock,
    endStatements: (ending) => endStatements({ ...ending, reason: "client_removed" }),
    announceEnded: onEnded,
    settings,
  });
  const fetchDocument = createFetchDocument(
    createOutgoing({ settings, bytesMax: limits.clientKeysBytesMax }),
  );
  const clients = createClients({ records: clientRecords, fetchDocument });
  const subjects = createSubjects({ database });
  const deviceCodes = createDeviceCodes({ database, clock, key: secrets.key("user-code"), rateLimits });
  const foreign = openProviders({ settings, log, database, secrets, arrivals, rateLimits, mail: mailDoor });
  const mail = openMail({
    settings,
    log,
    database,
    hooks,
    print,
    holdsMail,
    composeCodeLetter: mailing.composeCodeLetter,
    providers: foreign.providers,
  });
  mailDoor.wake = mail.wake;
  const clientAccess = openClients({
    settings,
    database,
    clock,
    log,
    rateLimits,
    clients,
    clientRecords,
    fetchDocument,
  });
  const { findClient } = clientAccess;
  const logout = openLogout({ settings, database, signingKeys, sessions, findClient, subjects });
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    await mail.stop();
    await turning.drained();
    await browsing.drained();
    revocations.stop();
    await journal.settled();
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
    journal,
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
    ...people,
    clients,
    clientRecords,
    clientAccess,
    ...foreign,
    ...logout,
    subjects,
    mail,
    deviceCodes,
    formTokenKey: secrets.key("form-token"),
    /**
     * Makes the keys that are missing, opens them, and begins to follow what other processes revoke.
     * @throws WrongSetting when no master secret opens a current key, or a client of the settings cannot be registered
     */
    async start(): Promise<void> {
      await journal.note();
      await signingKeys.start();
      await revocations.start();
      await foreign.providers.refresh();
      await subjects.start();
      const registered = await registerSettingsClients(settings.clients, {
        records: clientRecords,
        fetchDocument,
      });
      if (registered.problems.length > 0) throw new WrongSetting(registered.problems.join("\n"));
      for (const id of registered.left) {
        log.warn(
          { clientId: id },
          "A client of earlier settings is not in them any more. It stays: keyturn client remove",
        );
      }
      started = true;
    },
    /** Lets what is under way end, then closes the database. Idempotent. */
    close: () => (closing ??= close()),
  };
}
