import { isIP } from "node:net";
import type { Client } from "../clients/client.ts";
import type { Clock } from "../primitives/clock.ts";
import { sha256 } from "../primitives/digest.ts";
import { type Id, idFromBytes } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes } from "../primitives/random.ts";
import { endStatements } from "../sessions/end.ts";
import type { Session } from "../sessions/session.ts";
import { whichSession } from "../sessions/sessions.sql.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { StartedSession } from "../sessions/starting.ts";
import type { Database, Sql } from "../storage/database.ts";
import { deleteInSlices } from "../storage/slices.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";
import {
  type CodeRow,
  codeIsGood,
  deleteCodesBefore,
  holdCode,
  insertCode,
  selectCode,
  spendCode,
} from "./codes.sql.ts";
import { hasScope } from "./scopes.ts";

/** What was granted, as the code's row keeps it. */
interface Granted {
  readonly redirectUri: string;
  readonly challenge: string;
  readonly scope: string;
  readonly resources: readonly string[];
  readonly nonce?: string | undefined;
  readonly dpopThumbprint?: string | undefined;
  readonly amr: readonly string[];
  /** Milliseconds since 1970. */
  readonly authenticatedAt: number;
  /** Whether it rests on what the user agreed to, and not on the operator's word alone. */
  readonly byConsent: boolean;
}

/** A code that somebody has presented. */
export interface FoundCode extends Granted {
  readonly digest: Buffer;
  readonly clientId: string;
  readonly userId: Id;
  readonly browserSession: Id;
  readonly isUsed: boolean;
  readonly gaveSession: Id | undefined;
}

export type Codes = ReturnType<typeof createCodes>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly sessions: Pick<Sessions, "start" | "announceEnded">;
}

const CODE = /^[A-Za-z0-9_-]{43}$/;
const USER_AGENT = limits.userAgentCharactersMax;

/**
 * Authorization codes, RFC 6749 §4.1.2: "The authorization code MUST expire shortly after it is issued" and "The client
 * MUST NOT use the authorization code more than once." Of a code the digest is stored; it holds no secret of its own.
 */
export function createCodes({ database, clock, sessions }: Dependencies) {
  return {
    /** A new code, and the statement that makes it good; it changes nothing when the browser's session is over. */
    issue(
      request: AuthorizationRequest,
      { session, byConsent }: { session: Session; byConsent: boolean },
    ): { code: string; statement: Sql } {
      const code = randomBytes(32).toString("base64url");
      const at = clock.now();
      const granted: Granted = {
        redirectUri: request.to.redirectUri,
        challenge: request.challenge,
        scope: request.scope,
        resources: request.resources,
        nonce: request.nonce,
        dpopThumbprint: request.dpopThumbprint,
        amr: session.amr,
        authenticatedAt: session.authenticatedAt,
        byConsent,
      };
      const statement = insertCode({
        digest: sha256(code),
        clientId: request.client.id,
        userId: session.userId,
        browserSession: session.id,
        granted: JSON.stringify(granted),
        at,
        expiresAt: at + limits.authorizationCodeSeconds * 1000,
      });
      return { code, statement };
    },

    async find(code: string): Promise<FoundCode | undefined> {
      if (!CODE.test(code)) return undefined;
      const digest = sha256(code);
      const row = await database.one<CodeRow>(selectCode(digest));
      return row && fromRow(row, digest);
    },

    /**
     * Uses a code up and starts the session that it gives, in one transaction: of any number at once one does.
     * @returns undefined when it was used meanwhile, is too old, or what it rests on no longer holds
     */
    start(
      found: FoundCode,
      by: {
        readonly client: Client;
        readonly keyThumbprint: string | undefined;
        readonly ip: string | undefined;
        readonly userAgent: string | undefined;
      },
    ): Promise<StartedSession | undefined> {
      const { digest, userId, browserSession, scope } = found;
      const use = { digest, clientId: by.client.id, now: clock.now() };
      return sessions.start(
        {
          userId,
          clientId: by.client.id,
          kind: "client",
          // OpenID Connect Core §11: offline_access is for while the person is not there, so it outlives the browser's.
          parent: hasScope(scope, "offline_access") ? undefined : browserSession,
          scope,
          resources: found.resources,
          amr: found.amr,
          authenticatedAt: found.authenticatedAt,
          keyThumbprint: by.keyThumbprint,
          ip: by.ip !== undefined && isIP(by.ip) !== 0 ? by.ip : undefined,
          userAgent: by.userAgent?.slice(0, USER_AGENT),
        },
        {
          holds: [holdCode(digest)],
          onlyIf: codeIsGood(use, { browserSession, onConsentOf: found.byConsent ? userId : undefined }),
          follows: (onlyIf, sessionId) => [spendCode(use, { sessionId, onlyIf })],
        },
      );
    },

    /**
     * RFC 6749 §4.1.2: "If an authorization code is used more than once, the authorization server MUST deny the request
     * and SHOULD revoke (when possible) all tokens previously issued based on that authorization code."
     */
    async endWhatItGave(found: FoundCode, ip: string | undefined): Promise<void> {
      const { gaveSession: sessionId, userId, clientId } = found;
      if (sessionId === undefined) return;
      const event = { type: "code.reused", actor: "system", userId, sessionId, clientId, ip } as const;
      const which = whichSession(sessionId);
      const ending = endStatements({ which, at: clock.now(), reason: "code_reused", event });
      const [ended] = await database.batch(ending);
      if ((ended?.changes ?? 0) > 0) await sessions.announceEnded();
    },

    /** A used one stays a while, so that a second use is known for one. */
    async deletePast(): Promise<void> {
      const end = clock.now() - limits.usedCodeSeconds * 1000;
      await deleteInSlices(database, (rows) => deleteCodesBefore(end, rows));
    },
  };
}

function fromRow(row: CodeRow, digest: Buffer): FoundCode {
  return {
    ...(JSON.parse(row.granted) as Granted),
    digest,
    clientId: row.client_id,
    userId: idFromBytes(row.user_id),
    browserSession: idFromBytes(row.browser_session),
    isUsed: row.used_at !== null,
    gaveSession: row.gave_session === null ? undefined : idFromBytes(row.gave_session),
  };
}
