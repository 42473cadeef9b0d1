import type { Id } from "../../primitives/id.ts";
import type { Passkey } from "./passkey.ts";
import type { Passkeys } from "./passkeys.ts";
import type { RecoveryCodes } from "./recovery-codes.ts";
import type { Totp } from "./totp.ts";

/** By what a sign-in that waits for its second factor can go on. */
export type FactorMethod = "totp" | "recovery_code" | "passkey";

export interface OwnedFactors {
  readonly totp: boolean;
  readonly passkeys: readonly Passkey[];
  /** How many are unused. */
  readonly recoveryCodes: number;
  /** Whether a first factor alone signs in. Recovery codes alone are no factor: they stand in for one. */
  readonly hasSecond: boolean;
  readonly methods: readonly FactorMethod[];
}

interface Dependencies {
  readonly totp: Pick<Totp, "isOn">;
  readonly passkeys: Pick<Passkeys, "list">;
  readonly recoveryCodes: Pick<RecoveryCodes, "left">;
}

/** What second factors a user has. */
export function createOwnedFactors({ totp, passkeys, recoveryCodes }: Dependencies) {
  return async function ownedBy(userId: Id): Promise<OwnedFactors> {
    const [hasTotp, own, left] = await Promise.all([
      totp.isOn(userId),
      passkeys.list(userId),
      recoveryCodes.left(userId),
    ]);
    const hasSecond = hasTotp || own.length > 0;
    const methods: FactorMethod[] = [];
    if (own.length > 0) methods.push("passkey");
    if (hasTotp) methods.push("totp");
    if (hasSecond && left > 0) methods.push("recovery_code");
    return { totp: hasTotp, passkeys: own, recoveryCodes: left, hasSecond, methods };
  };
}
