import { insertEvent } from "../audit/audit.sql.ts";
import type { Client } from "../clients/client.ts";
import type { SigningKeys } from "../keys/signing-keys.ts";
import { type Clock, toSeconds } from "../primitives/clock.ts";
import { type Id, idFromBytes, idToBytes, isId, newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes } from "../primitives/random.ts";
import type { Database } from "../storage/database.ts";
import { deleteInSlices } from "../storage/slices.ts";
import { signJwt } from "../tokens/jwt.ts";
import {
  claimDelivery,
  type DeliveryRow,
  deleteDeliveriesBefore,
  markDone,
  markFailed,
  selectDeliveries,
  selectDue,
} from "./logout-deliveries.sql.ts";
import type { Subjects } from "./subjects.ts";

/** One client that is to be told that a session of its is over. Times are milliseconds since 1970. */
export interface LogoutDelivery {
  /** Of the session. */
  readonly id: Id;
  readonly clientId: string;
  readonly userId: Id;
  readonly createdAt: number;
  /** `waiting`: it is tried again at `nextTryAt`. `failed`: it was given up. */
  readonly state: "waiting" | "told" | "failed";
  readonly nextTryAt: number;
  readonly tries: number;
  /** Why the last try failed. */
  readonly problem: string | undefined;
}

type Send = (
  url: string,
  sent: { method: string; headers: Readonly<Record<string, string>>; body: string },
) => Promise<Response>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly signingKeys: Pick<SigningKeys, "current" | "ensure">;
  readonly subjects: Subjects;
  readonly findClient: (id: string) => Promise<Client | undefined>;
  readonly send: Send;
  readonly settings: { readonly issuer: string };
}

/** A claim is longer than a request may take, so that no other node sends what this one is sending. */
const CLAIM_MS = 60_000;
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 30 * 60_000;
/** Back-Channel Logout §2.4: "exp […] preferably at most two minutes in the future". */
const TOKEN_SECONDS = 120;
const EVENT = "http://schemas.openid.net/event/backchannel-logout";

/**
 * OpenID Connect Back-Channel Logout 1.0: tells clients that a session is over. What is to be told was written in the
 * transaction that ended the session; here it is sent, and tried again until the client has taken it.
 */
export function createBackChannelLogout(dependencies: Dependencies) {
  const { database, clock, signingKeys, subjects, findClient, send, settings } = dependencies;

  function tokenFor(client: Client, row: DeliveryRow): string {
    const issuedAt = toSeconds(clock.now());
    const claims = {
      iss: settings.issuer,
      sub: subjects.of(client, idFromBytes(row.user_id)),
      aud: client.id,
      iat: issuedAt,
      exp: issuedAt + TOKEN_SECONDS,
      jti: randomBytes(16).toString("base64url"),
      // §2.4 forbids a nonce, so that no ID token can be taken for this.
      events: { [EVENT]: {} },
      sid: idFromBytes(row.session_id),
    };
    const key = signingKeys.current(client.metadata.id_token_signed_response_alg);
    return signJwt({ key, type: "logout+jwt", claims });
  }

  /** @returns what is wrong, undefined when the client has taken it */
  async function tell(client: Client, uri: string, row: DeliveryRow): Promise<string | undefined> {
    await signingKeys.ensure(client.metadata.id_token_signed_response_alg);
    const body = new URLSearchParams({ logout_token: tokenFor(client, row) }).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded", accept: "application/json" };
    try {
      const reply = await send(uri, { method: "POST", headers, body });
      // §2.8: "200 OK"; "some Web frameworks will substitute 204 No Content", which counts too.
      if (reply.status === 200 || reply.status === 204) return undefined;
      return `answered ${reply.status}`;
    } catch (error) {
      // Of a failed request the reason; never what it carried.
      const { problem } = error as { problem?: unknown };
      return typeof problem === "string" ? problem : "not reached";
    }
  }

  async function deliver(row: DeliveryRow): Promise<void> {
    const seen = { sessionId: row.session_id, seen: row.next_try_at };
    const [claimed] = await database.batch([claimDelivery({ ...seen, until: clock.now() + CLAIM_MS })]);
    if (claimed?.changes !== 1) return;
    const client = await findClient(row.client_id);
    const uri = client?.metadata.backchannel_logout_uri;
    const sessionId = row.session_id;
    if (client === undefined || uri === undefined) {
      await database.batch([markDone({ sessionId, at: clock.now(), problem: "no address any more" })]);
      return;
    }
    const problem = await tell(client, uri, row);
    const at = clock.now();
    if (problem === undefined) {
      await database.batch([markDone({ sessionId, at, problem: null })]);
      return;
    }
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** row.tries, LONGEST_PAUSE_MS);
    if (at + pause <= row.expires_at) {
      await database.batch([markFailed({ sessionId, nextTryAt: at + pause, problem })]);
      return;
    }
    const event = {
      type: "client.logout_not_delivered",
      actor: "system",
      userId: idFromBytes(row.user_id),
      sessionId: idFromBytes(sessionId),
      clientId: client.id,
      detail: { tries: row.tries + 1, problem },
    } as const;
    await database.batch([markDone({ sessionId, at, problem }), insertEvent({ id: newId(at), at, event })]);
  }

  return {
    /** What is due, a bounded number at once. */
    async run(): Promise<void> {
      const rows = await database.all<DeliveryRow>(selectDue(clock.now(), limits.logoutDeliveriesAtOnce));
      await Promise.all(rows.map(deliver));
    },

    /** The newest first, at most a page; `before` is the session of the last one of the page before. */
    async list(filter: { clientId?: string; before?: string } = {}): Promise<LogoutDelivery[]> {
      const before =
        filter.before !== undefined && isId(filter.before) ? idToBytes(filter.before) : undefined;
      const page = { clientId: filter.clientId, before, rows: limits.pageRowsMax };
      return (await database.all<DeliveryRow>(selectDeliveries(page))).map(deliveryFromRow);
    },

    async deletePast(): Promise<void> {
      const kept = limits.logoutDeliveryKeptDays * 24 * 60 * 60 * 1000;
      const end = clock.now() - kept;
      await deleteInSlices(database, (rows) => deleteDeliveriesBefore(end, rows));
    },
  };
}

function deliveryFromRow(row: DeliveryRow): LogoutDelivery {
  const isTold = row.done_at !== null && row.problem === null;
  return {
    id: idFromBytes(row.session_id),
    clientId: row.client_id,
    userId: idFromBytes(row.user_id),
    createdAt: row.created_at,
    state: row.done_at === null ? "waiting" : isTold ? "told" : "failed",
    nextTryAt: row.next_try_at,
    tries: row.tries,
    problem: row.problem ?? undefined,
  };
}
