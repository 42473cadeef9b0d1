import { createSecretKey } from "node:crypto";
import { createAudit } from "../audit/audit.ts";
import type { StoredAuditEvent } from "../audit/events.ts";
import { createSecrets } from "../keys/secrets.ts";
import { createRateLimits } from "../rate-limits/rate-limits.ts";
import { createGrants } from "../roles/grants.ts";
import { createReminting } from "../roles/reminting.ts";
import type { Session } from "../sessions/session.ts";
import { createSessions } from "../sessions/sessions.ts";
import { openTestDatabase } from "../storage/test-database.ts";
import { createRefreshTokens } from "../tokens/refresh-token.ts";
import { createSessionCookies } from "../tokens/session-cookie.ts";
import { createArrivals } from "./arrivals.ts";
import { createCommonPasswords } from "./common-passwords.ts";
import { createNewPasswords } from "./new-passwords.ts";
import { createPasswords } from "./password-hashing.ts";
import { createSignIn } from "./sign-in.ts";
import { createUsers } from "./users.ts";

export const operator = { actor: "operator" } as const;

/**
 * Everything that users need, on a database of its own, with cheap hashes and a clock that the test moves.
 * @param tick milliseconds from one look at the clock to the next: one, so that the audit log has an order; none, and
 *   all that is done bears the same time
 */
export async function openUsers({ tick = 1 }: { tick?: 0 | 1 } = {}) {
  let now = 1_800_000_000_000;
  const clock = {
    now() {
      now += tick;
      return now;
    },
  };
  const place = await openTestDatabase({ clock });
  const { database } = place;
  const settings = { passwordMemoryKib: 7168, passwordPasses: 1, passwordHashesConcurrentMax: 2 };
  const passwords = createPasswords({ settings });
  const rateLimits = createRateLimits({ database, clock, key: createSecretKey(Buffer.alloc(32, 1)) });
  const announced = { count: 0 };
  const secrets = createSecrets([Buffer.alloc(32, 2)]);
  const sessions = createSessions({
    database,
    clock,
    refreshTokens: createRefreshTokens(secrets.refreshKeys),
    sessionCookies: createSessionCookies({
      currentKeyId: secrets.refreshKeys.currentId,
      keys: secrets.keys("session-cookie"),
    }),
    settings: {
      appIdleSeconds: 86_400,
      appAbsoluteSeconds: 864_000,
      browserIdleSeconds: 86_400,
      browserAbsoluteSeconds: 864_000,
    },
    onEnded: async () => {
      announced.count += 1;
    },
  });
  // Users without second factors: those are tested in factors/.
  const arrivals = createArrivals({
    sessions,
    ownedBy: async () => ({ hasSecond: false, methods: [] }),
    tickets: { issue: async () => undefined },
    settings: { secondFactor: "optional", secondFactorRoles: [] },
  });
  const mail = { isOn: true, wake() {} };
  const announce = async () => {};
  const grants = createGrants({ reminting: createReminting({ database, clock, announce }) });
  const newPasswords = createNewPasswords({
    settings: { passwordCharactersMin: 8, siteName: "Keyturn", issuer: "http://localhost" },
    common: createCommonPasswords(),
  });
  const dependencies = {
    database,
    clock,
    passwords,
    newPasswords,
    rateLimits,
    sessions,
    arrivals,
    grants,
    mail,
  };
  const users = createUsers(dependencies);
  const audit = createAudit({ database });
  return {
    database,
    engine: place.engine,
    clock,
    passwords,
    rateLimits,
    sessions,
    users,
    announced,
    dependencies,
    signIn: createSignIn(dependencies),
    /** Moves the clock. */
    pass(milliseconds: number): void {
      now += milliseconds;
    },
    /** A user to work with; the password is "correct horse" unless given. */
    async add(username: string, more: Partial<Parameters<typeof users.add>[0]> = {}) {
      const secret = "passwordHash" in more || "password" in more ? {} : { password: "correct horse" };
      const added = await users.add({ username, ...secret, ...more }, operator);
      if (added.outcome !== "added")
        throw new Error(`A test could not add its user: ${JSON.stringify(added)}`);
      return added.user;
    },
    async startSession(userId: string): Promise<Session> {
      const started = await sessions.start({ userId, clientId: "app", kind: "app", scope: "", amr: ["pwd"] });
      if (started === undefined) throw new Error("A test could not start its session");
      return started.session;
    },
    /** What users need, with an act that is done while a password has been verified and nobody has been told. */
    whileVerified(act: () => Promise<void>) {
      const verify: typeof passwords.verify = async (...asked) => {
        const verified = await passwords.verify(...asked);
        await act();
        return verified;
      };
      return { ...dependencies, passwords: { ...passwords, verify } };
    },
    /** The events of a user, the oldest first. */
    async eventsOf(userId: string): Promise<StoredAuditEvent[]> {
      return (await audit.list({ userId })).reverse();
    },
    /** The newest events, the newest first. */
    events: () => audit.list({}),
    async close() {
      await passwords.close();
      await place.close();
    },
  };
}

export type TestUsers = Awaited<ReturnType<typeof openUsers>>;
