import { type Id, idFromBytes } from "../../primitives/id.ts";
import type { PasskeyRow } from "./factors.sql.ts";

export interface Passkey {
  readonly id: Id;
  readonly userId: Id;
  /** Base64url. */
  readonly credentialId: string;
  readonly transports: readonly string[];
  /** Whether it can be on several devices. */
  readonly isSyncable: boolean;
  readonly name: string;
  readonly createdAt: number;
  readonly usedAt: number | undefined;
}

export function passkeyFromRow(row: PasskeyRow): Passkey {
  return {
    id: idFromBytes(row.id),
    userId: idFromBytes(row.user_id),
    credentialId: Buffer.from(row.credential_id).toString("base64url"),
    transports: row.transports === "" ? [] : row.transports.split(" "),
    isSyncable: row.backup_eligible === 1,
    name: row.name,
    createdAt: row.created_at,
    usedAt: row.used_at ?? undefined,
  };
}

/**
 * RFC 8176 §2. Nobody attests what keeps the key; but one that may be copied to other devices is no secured hardware's,
 * and one that may not is, by what WebAuthn asks of authenticators (§6.1.3). `user`: it was present, and verified.
 */
export const amrOf = (isSyncable: boolean): readonly string[] => [isSyncable ? "swk" : "hwk", "user"];
