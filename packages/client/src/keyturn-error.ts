import type { SecondStep } from "./how.ts";

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
  declare readonly code: string;
  /** The HTTP status, when there was an answer. */
  declare readonly status: number | undefined;
  /** The server's `reason`, e.g. `revoked`. */
  declare readonly reason: string | undefined;
  /** How long the server asks to wait. */
  declare readonly retryAfterSeconds: number | undefined;
  /** How the sign-in goes on that was answered with `second_factor_required` or `…_enrolment_required`. */
  declare readonly secondStep?: SecondStep;

  constructor(code: string, message: string, details: KeyturnErrorDetails = {}) {
    const { cause, ...rest } = details;
    super(message, { cause });
    Object.assign(this, { code }, rest);
  }
}

/** @param cause What a KeyturnError among them says of the server's state is said again. */
export function unavailable(message: string, cause?: unknown): KeyturnError {
  const { status, retryAfterSeconds } = (cause ?? {}) as KeyturnErrorDetails;
  return new KeyturnError("unavailable", message, { status, retryAfterSeconds, cause });
}

export const unreachable = (cause?: unknown) => unavailable("The server cannot be reached", cause);

/** Whether it is worth asking again: nothing was decided, nobody is signed out. */
export function isTransient(error: unknown): error is KeyturnError {
  const { code, status = 0 } = error as KeyturnError;
  return code === "unavailable" || status >= 500 || status === 408 || status === 425 || status === 429;
}
