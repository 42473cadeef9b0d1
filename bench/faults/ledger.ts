import { createHash } from "node:crypto";

/*
 * What clients were told: the only thing that a server can be held to. A request without a reply promises nothing; a
 * reply promises everything that it says.
 */

export interface SessionRecord {
  readonly id: string;
  readonly username: string;
  /** When its sign-in was acknowledged, by the steady clock of this process in milliseconds. */
  readonly begunAt: number;
  /** The newest token that was handed out. */
  token: string;
  generation: number;
  /** The tokens of late generations, by generation: whoever asks twice is to be told the same. */
  readonly handedOut: Map<number, string>;
  /**
   * alive: its owner is to stay in. ended: somebody was told that it is over. shared: a thief holds it too, or its end
   * was asked for and not acknowledged; nothing is promised.
   */
  state: "alive" | "ended" | "shared";
  /**
   * While a request without a reply may still be on its way: how far its session may turn, so that the late copy is not
   * taken for a thief's. The row remembers four replacements; that a client is not faster is asked of it by the
   * protocol.
   */
  readonly held: { until: number; generationMax: number };
  /** It began after the copy that was restored, so that the database need not know it. */
  mayBeForgotten: boolean;
  /** The last things that happened, for whoever asks why. */
  readonly history: string[];
}

export type ComplaintKind =
  | "honest sign-out"
  | "acknowledged write lost"
  | "two successors of one generation"
  | "thief not caught"
  | "ended session came back"
  | "wrong answer"
  | "never answered";

export interface Complaint {
  readonly kind: ComplaintKind;
  readonly session?: string;
  readonly what: string;
  readonly history: readonly string[];
}

export const emptyCounts = () => ({
  /** Refreshes that were answered with a token. */
  turns: 0,
  requests: 0,
  unanswered: 0,
  busy: 0,
  registrations: 0,
  signIns: 0,
  signOuts: 0,
  revocations: 0,
  passwordChanges: 0,
  races: 0,
  lateDuplicates: 0,
  superseded: 0,
  thefts: 0,
  thievesCaught: 0,
  /** A clock was shifted or an older copy restored between the theft and its use: the grace cannot be told. */
  theftsNotJudged: 0,
  endedPresented: 0,
  limited: 0,
  forgottenByRestore: 0,
  unansweredWhileDraining: 0,
});
export type Counts = ReturnType<typeof emptyCounts>;

export interface Ledger {
  readonly sessions: Map<string, SessionRecord>;
  readonly complaints: Complaint[];
  readonly counts: Counts;
}

const historyMax = 60;
const handedOutMax = 16;

export const emptyLedger = (): Ledger => ({ sessions: new Map(), complaints: [], counts: emptyCounts() });

export function note(session: SessionRecord, what: string): void {
  session.history.push(`${(performance.now() / 1000).toFixed(3)} ${what}`);
  if (session.history.length > historyMax) session.history.shift();
}

export function complain(
  ledger: Ledger,
  complaint: Omit<Complaint, "history"> & { of?: SessionRecord },
): void {
  const { kind, what, of } = complaint;
  const history = of === undefined ? [] : [...of.history];
  ledger.complaints.push({ kind, what, ...(of && { session: of.id }), history });
}

export function begin(
  ledger: Ledger,
  signedIn: { id: string; username: string; token: string },
): SessionRecord {
  const { id, username, token } = signedIn;
  const generation = generationOf(token);
  const session: SessionRecord = {
    id,
    username,
    begunAt: performance.now(),
    token,
    generation,
    handedOut: new Map([[generation, token]]),
    state: "alive",
    held: { until: 0, generationMax: 0 },
    mayBeForgotten: false,
    history: [],
  };
  ledger.sessions.set(id, session);
  return session;
}

/** A refresh was answered with a token. */
export function acknowledge(ledger: Ledger, session: SessionRecord, token: string): void {
  const generation = generationOf(token);
  const before = session.handedOut.get(generation);
  if (before !== undefined && before !== token) {
    const what = `generation ${generation} was handed out as two different tokens`;
    complain(ledger, { kind: "two successors of one generation", what, of: session });
  }
  session.handedOut.set(generation, token);
  if (session.handedOut.size > handedOutMax) {
    const [oldest] = session.handedOut.keys();
    session.handedOut.delete(oldest as number);
  }
  if (generation > session.generation) {
    session.generation = generation;
    session.token = token;
  }
}

/** docs/refresh-tokens.md leaves the token opaque to clients; whoever tests the server may look into it. */
const bytesOf = (token: string) => Buffer.from(token.slice("krt_".length), "base64url");
export const generationOf = (token: string): number => bytesOf(token).readUInt32BE(18);
export const digestOf = (token: string): string =>
  createHash("sha256").update(bytesOf(token).subarray(22, 54)).digest("hex");
