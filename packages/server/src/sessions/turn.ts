/*
 * The rules of a turn: what happens when somebody presents a refresh token.
 *
 * Read this file from top to bottom and you know them all. It is a function of values: no clock, no database,
 * no randomness. `turning.ts` makes what it decides happen, atomically.
 *
 * The problem. A refresh token is replaced at every use, so that a stolen copy shows itself: sooner or later
 * the thief and the owner both use the same token. But an honest client also uses one token twice: two tabs
 * refresh at once, a reply is lost on a train, a proxy sends a request again. A server that ends the session
 * each time signs honest people out; one that forgives every time catches no thief.
 *
 * The answer. Every token has a generation number, and its secret is derived from the secret before it. A row
 * stores the digest of the current secret only, and remembers the last four replacements: when each happened,
 * and the *attempt key* of the request that caused it. An attempt key is made by the client from the token and
 * a secret that never leaves the device: all tabs and all retries of one token carry the same one, and a thief
 * who copied the token cannot make it. From a token replaced a moment ago the server derives the current one
 * again, and hands it out again: no write, no second successor, no error.
 */

import { equalBytes } from "../primitives/compare.ts";
import { sha256 } from "../primitives/digest.ts";
import { countRecent, noneRecent, RECENT_MAX, type Recent, remember, replacementOf } from "./recent.ts";

/** A token whose tag has verified, with what the request brought along. */
export interface Presented {
  readonly generation: number;
  /** The 32 secret bytes of the token. */
  readonly secret: Buffer;
  readonly clientId: string;
  /** RFC 9449: the thumbprint of the key that the request proved. Undefined without a proof. */
  readonly dpopThumbprint: string | undefined;
  /** 16 bytes, the digest of the attempt key. Undefined when the request had none. */
  readonly attempt: Buffer | undefined;
  /** When the client was changed last, as far as whoever authenticated it knows. Undefined: nobody asks. */
  readonly clientVersion?: number | undefined;
  /** For a client whose tokens are not replaced routinely: the id of the key under which this one was made. */
  readonly keptKeyId?: number | undefined;
  /** Less than all that was granted: RFC 6749 §6, RFC 8707 §2.2. Undefined: all of it. */
  readonly asked?: AskedPart | undefined;
}

/** Each separated by spaces; undefined: as it was granted. */
export interface AskedPart {
  readonly scope?: string | undefined;
  readonly resources?: string | undefined;
}

/** What the rules look at in a session's row. Times are milliseconds since 1970. */
export interface TurnState {
  readonly clientId: string;
  /** When the client was changed last; undefined when there is none of that id (any more). */
  readonly clientVersion?: number | undefined;
  /** What was granted, each separated by spaces. */
  readonly scope: string;
  readonly resources: string;
  readonly dpopThumbprint: string | undefined;
  readonly revokedAt: number | undefined;
  readonly endReason: string | undefined;
  readonly expiresAt: number;
  readonly lastUsedAt: number;
  readonly generation: number;
  /** SHA-256 of the current secret. */
  readonly digest: Buffer;
  readonly recent: Recent;
}

export interface TurnRules {
  /** Milliseconds since 1970, by the database's clock when it has one. */
  readonly now: number;
  readonly graceSeconds: number;
  readonly idleSeconds: number;
  /** The operator has restored an older copy of the database and said so. */
  readonly restoreWindowOpen: boolean;
  /** The key under which a new successor is derived. */
  readonly currentKeyId: number;
  /** The secret of the generation after this one; undefined when its key is gone. */
  nextSecret(from: { keyId: number; generation: number; secret: Buffer }): Buffer | undefined;
}

/** The token to hand out. */
export interface Successor {
  readonly keyId: number;
  readonly generation: number;
  readonly secret: Buffer;
}

export type TurnDecision =
  /** Replace the current generation. `adopted`: the row was older than the token, see rule 6. */
  | {
      readonly act: "turn";
      readonly successor: Successor;
      readonly next: TurnState;
      readonly adopted: boolean;
    }
  /** Hand out the same token again: its client is one whose tokens stay. `next` is `state` when nothing is to be noted. */
  | { readonly act: "keep"; readonly successor: Successor; readonly next: TurnState }
  /** Hand out the current successor once more. Writes nothing. */
  | { readonly act: "replay"; readonly successor: Successor }
  /** Refuse. The session goes on, or was over already. Writes nothing. */
  | { readonly act: "refuse"; readonly reason: TurnRefusal }
  /** A stolen token, or its theft, has shown itself: end the session. */
  | { readonly act: "end"; readonly reason: "reused" };

export type TurnRefusal =
  | "unknown_session"
  | "wrong_client"
  | "client_changed"
  | "wrong_key"
  | "scope_not_granted"
  | "resource_not_granted"
  | "revoked"
  | "reused"
  | "expired"
  | "idle"
  | "superseded"
  | "unknown_secret"
  | "newer_generation";

/** A late retry by the same device is recognised by its attempt key for this long. */
export const ATTEMPT_SECONDS = 24 * 60 * 60;

/** How exactly it is noted when a token that stays was last used: what it is used for costs a write no oftener. */
const KEPT_USE_SECONDS = 60;

export function decideTurn(
  state: TurnState | undefined,
  presented: Presented,
  rules: TurnRules,
): TurnDecision {
  const decision = decide(state, presented, rules);
  if (state === undefined || decision.act === "refuse" || decision.act === "end") return decision;
  // Last, so that a token which shows a theft shows it whatever else is asked; but before anything is done: a request
  // that asks for more than was granted uses no token up.
  return notGranted(state, presented.asked) ?? decision;
}

function decide(state: TurnState | undefined, presented: Presented, rules: TurnRules): TurnDecision {
  const { now } = rules;
  if (state === undefined) return refuse("unknown_session");

  // 1. Not the client, or not the key, that the session belongs to. Whoever asks has no right to end it either.
  // RFC 6749 §6: the server MUST ensure that the refresh token was issued to the authenticated client.
  if (presented.clientId !== state.clientId) return refuse("wrong_client");
  // Whoever authenticated it did so by what it was before. They look again, and ask again.
  if (presented.clientVersion !== undefined && presented.clientVersion !== state.clientVersion) {
    return refuse("client_changed");
  }
  // A session that is bound to no key takes any proof for none: a client may have learned to make them since.
  if (state.dpopThumbprint !== undefined && presented.dpopThumbprint !== state.dpopThumbprint) {
    return refuse("wrong_key");
  }

  // 2. The session is over.
  if (state.revokedAt !== undefined) return refuse(state.endReason === "reused" ? "reused" : "revoked");
  if (now >= state.expiresAt) return refuse("expired");
  if (now - state.lastUsedAt > rules.idleSeconds * 1000) return refuse("idle");

  // 3. The current token: turn.
  if (presented.generation === state.generation) {
    // The tag verified, so we made this token, but for a row that this database does not have (any more).
    if (!equalBytes(sha256(presented.secret), state.digest)) return refuse("unknown_secret");
    // FAPI 2.0 Security Profile §5.3.2.1: "shall not use refresh token rotation except in extraordinary
    // circumstances". A master secret that is being replaced is one.
    return presented.keptKeyId === rules.currentKeyId
      ? keep(state, presented, rules)
      : turn(state, presented, rules);
  }

  // 6. Newer than the row: the database was restored from an older copy. Outside a window that the operator
  // has opened this is refused, for otherwise a leaked tag key would be enough to forge a session.
  if (presented.generation > state.generation) {
    if (!rules.restoreWindowOpen) return refuse("newer_generation");
    const decision = turn(
      { ...state, generation: presented.generation, recent: noneRecent },
      presented,
      rules,
    );
    return decision.act === "turn" ? { ...decision, adopted: true } : decision;
  }

  // 4. Replaced not long ago, and truly an ancestor of the current token.
  const replaced = replacementOf(presented.generation, state.recent);
  if (replaced !== undefined) {
    const successor = deriveForward(state, presented, rules);
    if (successor === "key_gone") return refuse("unknown_secret");
    if (successor !== undefined) {
      // (a) Within the grace: another tab, another worker, a retry.
      // A clock that was set back makes the age negative: that is "just now", and signs nobody out.
      const age = now - replaced.supersededAt;
      if (age <= rules.graceSeconds * 1000) return { act: "replay", successor };

      // (b) Later, but by the same attempt: the reply was lost, and the device asks again. Only the direct
      // predecessor is answered: from an older one the device has since moved on, and this is a late duplicate.
      const sameAttempt =
        presented.attempt !== undefined &&
        replaced.attempt !== undefined &&
        equalBytes(presented.attempt, replaced.attempt);
      if (sameAttempt) {
        const direct = presented.generation === state.generation - 1;
        return direct && age < ATTEMPT_SECONDS * 1000 ? { act: "replay", successor } : refuse("superseded");
      }
    }
  }

  // Of before an adoption (rule 6) nothing is remembered: this may be a request of an honest client that is late, as a
  // copy of the one that was adopted. It is given nothing; four turns later the row knows again what is too old.
  const isMemoryShort = countRecent(state.recent) < Math.min(state.generation, RECENT_MAX);
  if (replaced === undefined && isMemoryShort) return refuse("superseded");

  // 5. An old token, back after its time. Thief or owner, one of them holds a copy: nobody keeps the session.
  return { act: "end", reason: "reused" };
}

/** RFC 6749 §6: the scope "MUST NOT include any scope not originally granted"; RFC 8707 §2.2 of resources the like. */
function notGranted(state: TurnState, asked: AskedPart | undefined): TurnDecision | undefined {
  if (asked === undefined) return undefined;
  if (!isPart(asked.scope, state.scope)) return refuse("scope_not_granted");
  return isPart(asked.resources, state.resources) ? undefined : refuse("resource_not_granted");
}

function isPart(asked: string | undefined, granted: string): boolean {
  if (asked === undefined) return true;
  const all = new Set(granted.split(" "));
  return asked.split(" ").every((one) => all.has(one));
}

function keep(state: TurnState, presented: Presented, { now, currentKeyId: keyId }: TurnRules): TurnDecision {
  const { generation, secret } = presented;
  const isNoted = now - state.lastUsedAt < KEPT_USE_SECONDS * 1000;
  const next = isNoted ? state : { ...state, lastUsedAt: now };
  return { act: "keep", successor: { keyId, generation, secret }, next };
}

function turn(state: TurnState, presented: Presented, rules: TurnRules): TurnDecision {
  const { generation, secret } = presented;
  const keyId = rules.currentKeyId;
  const nextSecret = rules.nextSecret({ keyId, generation, secret });
  if (nextSecret === undefined) return refuse("unknown_secret");
  const replaced = { generation, keyId, supersededAt: rules.now, attempt: presented.attempt };
  return {
    act: "turn",
    adopted: false,
    successor: { keyId, generation: generation + 1, secret: nextSecret },
    next: {
      ...state,
      generation: generation + 1,
      digest: sha256(nextSecret),
      recent: remember(replaced, state.recent),
      // Never backwards: two nodes whose clocks differ would otherwise shorten the session by the difference.
      lastUsedAt: Math.max(rules.now, state.lastUsedAt),
    },
  };
}

/**
 * Derives from the presented secret, generation by generation under the recorded keys, up to the current one.
 * Undefined when that does not lead to the stored digest: then it is no ancestor.
 */
function deriveForward(
  state: TurnState,
  presented: Presented,
  rules: TurnRules,
): Successor | "key_gone" | undefined {
  let { secret } = presented;
  let keyId = -1;
  for (let generation = presented.generation; generation < state.generation; generation++) {
    const entry = replacementOf(generation, state.recent);
    if (entry === undefined) return undefined;
    const nextSecret = rules.nextSecret({ keyId: entry.keyId, generation, secret });
    if (nextSecret === undefined) return "key_gone";
    secret = nextSecret;
    keyId = entry.keyId;
  }
  if (!equalBytes(sha256(secret), state.digest)) return undefined;
  return { keyId, generation: state.generation, secret };
}

function refuse(reason: TurnRefusal): TurnDecision {
  return { act: "refuse", reason };
}
