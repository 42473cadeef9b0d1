import type { Complaint, ComplaintKind, Ledger } from "./ledger.ts";
import { digestOf } from "./ledger.ts";

/** A session as the database has it when everything is over. */
export interface StoredSession {
  readonly generation: number;
  /** Of its current secret, in hexadecimal. */
  readonly digest: string;
  readonly isRevoked: boolean;
}

export interface Verdict {
  /** Each must be 0. */
  readonly counters: Readonly<Record<ComplaintKind, number>>;
  readonly complaints: readonly Complaint[];
}

const kinds: readonly ComplaintKind[] = [
  "honest sign-out",
  "acknowledged write lost",
  "two successors of one generation",
  "thief not caught",
  "ended session came back",
  "wrong answer",
  "never answered",
];

/**
 * Compares what clients were told with what is stored. No request may be under way any more, and every living session
 * must have been turned once since the last restore.
 */
export function judge(ledger: Ledger, stored: ReadonlyMap<string, StoredSession>): Verdict {
  const complaints = [...ledger.complaints];
  for (const session of ledger.sessions.values()) {
    const complain = (kind: ComplaintKind, what: string) =>
      complaints.push({ kind, what, session: session.id, history: [...session.history] });
    const row = stored.get(session.id);
    if (session.state === "shared") continue;
    if (row === undefined) {
      if (!session.mayBeForgotten)
        complain(
          "acknowledged write lost",
          "the database does not know a session that somebody signed in to",
        );
      continue;
    }
    if (session.state === "ended") {
      if (!row.isRevoked) complain("ended session came back", "it is alive in the database");
      continue;
    }
    if (row.isRevoked) complain("honest sign-out", "the database has ended it, and its owner has not");
    if (row.generation < session.generation) {
      const what = `generation ${session.generation} was acknowledged, ${row.generation} is stored`;
      complain("acknowledged write lost", what);
    } else if (row.generation === session.generation && row.digest !== digestOf(session.token))
      complain(
        "two successors of one generation",
        `generation ${row.generation} is stored with another secret than was handed out`,
      );
    else if (row.generation > session.generation)
      complain("wrong answer", `generation ${row.generation} is stored, and nobody was told of it`);
  }
  const counters = Object.fromEntries(
    kinds.map((kind) => [kind, complaints.filter((one) => one.kind === kind).length]),
  ) as Record<ComplaintKind, number>;
  return { counters, complaints };
}
