import type { Clock } from "../../primitives/clock.ts";
import { sha256 } from "../../primitives/digest.ts";
import { type Id, idFromBytes } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import { randomSecret } from "../../primitives/random.ts";
import type { SessionKind } from "../../sessions/session.ts";
import { lockUser } from "../../sessions/sessions.sql.ts";
import type { Database, Sql } from "../../storage/database.ts";
import { anyway } from "./factors.sql.ts";
import {
  countTry,
  deleteTicket,
  giveTryBack,
  insertTicket,
  selectTicket,
  type TicketRow,
  ticketExists,
  ticketIsAlive,
} from "./tickets.sql.ts";

/** What the second step of a sign-in takes over from the first. */
export interface TicketArrival {
  readonly clientId: string;
  readonly kind: SessionKind;
  readonly amr: readonly string[];
  readonly keyThumbprint?: string | undefined;
  readonly device?: string | undefined;
}

/** `enrolment`: the user must have a second factor and has none; the ticket lets them set one up, and nothing else. */
export type TicketPurpose = "second_factor" | "enrolment";

export interface Ticket {
  readonly digest: Buffer;
  readonly userId: Id;
  readonly purpose: TicketPurpose;
  readonly arrival: TicketArrival;
}

export type Tickets = ReturnType<typeof createTickets>;

/**
 * Sign-ins that wait for their second factor. Whoever holds a ticket has proven the first one; it is good for going on
 * with that sign-in and for nothing else, for ten minutes and a few tries. Only its digest is stored.
 */
export function createTickets({ database, clock }: { database: Database; clock: Clock }) {
  const lifeOf = (digest: Buffer) => ({ digest, now: clock.now(), triesMax: limits.ticketTriesMax });

  return {
    /** @returns undefined when the user has been disabled or removed meanwhile, or the proof no longer holds */
    async issue(given: {
      userId: Id;
      purpose: TicketPurpose;
      arrival: TicketArrival;
      onlyIf?: Sql | undefined;
      also?: readonly Sql[] | undefined;
      /** The same, given the condition that there is a ticket: what uses up the proof that it is for. */
      follows?: ((onlyIf: Sql) => readonly Sql[]) | undefined;
    }): Promise<string | undefined> {
      const { userId, purpose, arrival, onlyIf = anyway, also = [], follows = () => [] } = given;
      const ticket = randomSecret("ktt_");
      const expiresAt = clock.now() + limits.ticketMinutesMax * 60_000;
      const digest = sha256(ticket);
      const row = {
        digest,
        userId,
        purpose,
        arrival: JSON.stringify(arrival),
        expiresAt,
        onlyIf,
      };
      // The user's row is held: of two uses of one proof at once the second one sees that it is used up.
      const [, inserted] = await database.batch([
        lockUser(userId),
        insertTicket(row),
        ...also,
        ...follows(ticketExists(digest)),
      ]);
      return inserted?.changes === 1 ? ticket : undefined;
    },

    async find(ticket: string): Promise<Ticket | undefined> {
      const digest = sha256(ticket);
      const row = await database.one<TicketRow>(selectTicket(lifeOf(digest)));
      if (row === undefined) return undefined;
      return {
        digest,
        userId: idFromBytes(row.user_id),
        purpose: row.purpose as TicketPurpose,
        arrival: JSON.parse(row.arrival),
      };
    },

    /** Counts a try before it is looked at. False: there have been as many as there may be. */
    async countTry(digest: Buffer): Promise<boolean> {
      const [counted] = await database.batch([countTry(digest, limits.ticketTriesMax)]);
      return counted?.changes === 1;
    },

    giveTryBack: async (digest: Buffer): Promise<void> => void (await database.batch([giveTryBack(digest)])),

    /** What must be so of a ticket when it is spent. The last try that it allows has been counted by then. */
    isAlive: (digest: Buffer): Sql =>
      ticketIsAlive({ ...lifeOf(digest), triesMax: limits.ticketTriesMax + 1 }),
    spend: (digest: Buffer, onlyIf: Sql): Sql => deleteTicket(digest, onlyIf),
  };
}
