export interface KeyturnErrorDetails {
  readonly status?: number | undefined;
  readonly reason?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
  readonly cause?: unknown;
}

/**
 * What the client rejects with. `code` is the server's error code (docs/errors.md), or one of the client's own:
 *
 * - `signed_out`: nobody is signed in (any more); `reason` says why where that is known.
 * - `unavailable`: the server could not be reached, or was busy, for as long as the client is patient. Nobody is
 *   signed out; the next call tries again.
 * - `closed`: the client was closed.
 * - `insecure_storage`: other users of the machine can read the file of `fileStorage`.
 *
 * No message holds a token.
 */
export class KeyturnError extends Error {
  override readonly name = "KeyturnError";
  readonly code: string;
  /** The HTTP status, when there was an answer. */
  readonly status: number | undefined;
  /** The server's `reason`, e.g. `revoked`. */
  readonly reason: string | undefined;
  /** How long the server asks to wait. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: string, message: string, details: KeyturnErrorDetails = {}) {
    const { status, reason, retryAfterSeconds, cause } = details;
    super(message, { cause });
    this.code = code;
    this.status = status;
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export const unavailable = (message: string, cause?: unknown) =>
  new KeyturnError("unavailable", message, { cause });

/** For an answer that has not the form that was agreed on: something else than Keyturn has spoken. */
export const notKeyturn = () => unavailable("The answer is not Keyturn's");

/** A part of the client that is loaded when it is needed, over the same network as everything else. */
export const load = <T>(importing: Promise<T>): Promise<T> =>
  importing.catch((cause) => {
    throw unavailable("A part of the client could not be loaded", cause);
  });

/** Whether it is worth asking again: nothing was decided, nobody is signed out. */
export function isTransient(error: unknown): error is KeyturnError {
  if (!(error instanceof KeyturnError)) return false;
  const { code, status = 0 } = error;
  return code === "unavailable" || status >= 500 || status === 408 || status === 425 || status === 429;
}
