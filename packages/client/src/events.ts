import type { Session } from "./session.ts";

/**
 * Why nobody is signed in any more: `signed_out` here or in another tab; `expired`, `revoked` or `reused` says the
 * server; `refused`: a provider does, without saying why; `missing`: the stored credentials or the cookie are gone, and no tab said why.
 */
export type SignedOutReason = "signed_out" | "expired" | "revoked" | "reused" | "refused" | "missing";

export interface ClientEvents {
  /** Somebody signed in, in this tab or another. */
  readonly signedIn: { readonly session: Session };
  /** A fresh access token is here. */
  readonly refreshed: { readonly session: Session };
  /** Nobody is signed in any more. */
  readonly signedOut: { readonly reason: SignedOutReason };
}

type Listener<E extends keyof ClientEvents> = (detail: ClientEvents[E]) => void;

export interface Events {
  on<E extends keyof ClientEvents>(event: E, listener: Listener<E>): () => void;
  emit<E extends keyof ClientEvents>(event: E, detail: ClientEvents[E]): void;
}

/** Events whose listeners may throw: that is shown where errors are shown, and stops nothing here. */
export function createEvents(): Events {
  // Each an object of its own, so that one function that listens twice is two listeners.
  const listeners = new Set<{ readonly event: string; readonly listener: (detail: never) => void }>();
  return {
    on(event, listener) {
      const own = { event, listener };
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    emit(event, detail) {
      for (const own of [...listeners]) {
        try {
          if (own.event === event) own.listener(detail as never);
        } catch (error) {
          (globalThis as { reportError?: (error: unknown) => void }).reportError?.(error);
        }
      }
    },
  };
}
