import type { Identity } from "./identity.ts";

/** One entry of the revocation feed. Times in seconds. */
export type RevocationEntry = {
  readonly seq: number;
  readonly session?: string;
  readonly client?: string;
  readonly all?: true;
  /** Tokens issued before this are refused; a hard entry for a session refuses every one of it. */
  readonly before: number;
  /** When no access token that it could concern is alive any more. */
  readonly until: number;
  /** The token must be exchanged for a new one; nobody is signed out. */
  readonly soft?: true;
};

export type Revocations = {
  /** Rises whenever something was added: a token found free at the same version is still free. */
  version(): number;
  size(): number;
  /** False when the entry did not fit: the revocations are then incomplete. */
  add(entry: RevocationEntry, nowSeconds: number): boolean;
  /** Forgets what is over; called often, does something about once a minute. */
  forget(nowSeconds: number): void;
  /** Whether tokens like this one were taken back. */
  refuses(identity: Identity): "revoked" | "reminted" | undefined;
};

/** Cut-offs merge: the later `before` covers the earlier, and tokens it covers too much are dead by `until` anyway. */
type Mark = { isEnded: boolean; before: number; softBefore: number; until: number };

/** Most entries held, for memory. */
const entriesMax = 1_000_000;
const forgetEverySeconds = 60;

/** What the guard knows to be taken back; bounded by `until`, and by `entriesMax` on top. */
export function createRevocations(toleranceSeconds: number, limit = entriesMax): Revocations {
  const sessions = new Map<string, Mark>();
  const clients = new Map<string, Mark>();
  // Holds at most one mark, under the empty key, so that all three are treated alike.
  const everyone = new Map<string, Mark>();
  const kinds = [sessions, clients, everyone];
  let version = 0;
  let forgotAtSeconds = Number.NEGATIVE_INFINITY;

  const size = () => sessions.size + clients.size + everyone.size;

  function sweep(nowSeconds: number): void {
    forgotAtSeconds = nowSeconds;
    for (const marks of kinds) {
      for (const [key, mark] of marks) if (mark.until + toleranceSeconds < nowSeconds) marks.delete(key);
    }
  }

  function place(entry: RevocationEntry): readonly [Map<string, Mark>, string] {
    if (entry.session !== undefined) return [sessions, entry.session];
    if (entry.client !== undefined) return [clients, entry.client];
    return [everyone, ""];
  }

  function judge(mark: Mark | undefined, issuedAt: number): "revoked" | "reminted" | undefined {
    if (mark === undefined) return undefined;
    if (mark.isEnded || issuedAt < mark.before) return "revoked";
    return issuedAt < mark.softBefore ? "reminted" : undefined;
  }

  return {
    version: () => version,
    size,
    add(entry, nowSeconds) {
      if (entry.until + toleranceSeconds < nowSeconds) return true;
      const [marks, key] = place(entry);
      let mark = marks.get(key);
      if (mark === undefined) {
        // A full map is swept at most once a second, so that a flood of entries does not sweep at each.
        if (size() >= limit && nowSeconds - forgotAtSeconds >= 1) sweep(nowSeconds);
        if (size() >= limit) return false;
        mark = { isEnded: false, before: 0, softBefore: 0, until: 0 };
        marks.set(key, mark);
      }
      mark.until = Math.max(mark.until, entry.until);
      if (entry.soft === true) mark.softBefore = Math.max(mark.softBefore, entry.before);
      else if (marks === sessions) mark.isEnded = true;
      else mark.before = Math.max(mark.before, entry.before);
      version++;
      return true;
    },
    forget(nowSeconds) {
      if (Math.abs(nowSeconds - forgotAtSeconds) >= forgetEverySeconds) sweep(nowSeconds);
    },
    refuses({ sessionId, clientId, issuedAt }) {
      const verdicts = [
        sessionId === undefined ? undefined : judge(sessions.get(sessionId), issuedAt),
        clientId === undefined ? undefined : judge(clients.get(clientId), issuedAt),
        judge(everyone.get(""), issuedAt),
      ];
      return verdicts.includes("revoked") ? "revoked" : verdicts.find((verdict) => verdict !== undefined);
    },
  };
}
