import type { RefusalReason } from "./refusal-reason.ts";

/** What the guard tells its owner's log. No event holds a token, a credential or an unverified claim. */
export type GuardEvent =
  | {
      readonly type: "refused";
      readonly reason: RefusalReason;
      readonly status: number;
      /** Only when the signature was good. */
      readonly subject?: string;
      readonly clientId?: string;
      readonly sessionId?: string;
    }
  | { readonly type: "keys_fetched"; readonly keys: number; readonly lifeSeconds: number }
  | { readonly type: "keys_failed"; readonly message: string; readonly retryInSeconds: number }
  | { readonly type: "key_ignored"; readonly keyId: string | undefined; readonly message: string }
  | { readonly type: "feed_up"; readonly lastSeq: number; readonly entries: number }
  | { readonly type: "feed_down"; readonly reason: FeedProblem; readonly message: string }
  /** The issuer was asked about a token and did not say; told once, and again when the message is another. */
  | { readonly type: "introspection_failed"; readonly message: string };

export type FeedProblem = "unreachable" | "unauthorized" | "unreadable" | "silent" | "ended" | "full";

export type Emit = (event: GuardEvent) => void;

/** An `emit` that survives a listener that throws: a broken logger must not decide who gets in. */
export function createEmit(listener: ((event: GuardEvent) => void) | undefined): Emit {
  if (listener === undefined) return () => {};
  return (event) => {
    try {
      listener(event);
    } catch {
      // Nobody is left to tell.
    }
  };
}
