import type { KeyRecord, RotateOutcome, WithdrawOutcome } from "../../keys/signing-key.ts";
import type { SigningKeys } from "../../keys/signing-keys.ts";

/** What the operator does with signing keys, by whichever door: terminal, API, console. */

export interface KeyRooms {
  readonly signingKeys: Pick<SigningKeys, "list" | "rotate" | "withdraw">;
}

/** Keys of all states, those in use first. */
export function listKeys({ signingKeys }: KeyRooms): Promise<KeyRecord[]> {
  return signingKeys.list();
}

/**
 * Lets the next key of each algorithm sign. Running servers take it over within seconds.
 * @param options.now does not wait until verifiers know the next key: for a key that leaked
 */
export function rotateKeys(
  { signingKeys }: KeyRooms,
  options: { now?: boolean } = {},
): Promise<RotateOutcome[]> {
  return signingKeys.rotate({ now: options.now === true });
}

/** Takes a key that leaked, and signs no more, off the published set. Running servers do so within seconds. */
export const withdrawKey = ({ signingKeys }: KeyRooms, id: string): Promise<WithdrawOutcome> =>
  signingKeys.withdraw(id);
