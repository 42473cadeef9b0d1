import type { NewMail } from "../../mail/outbox.sql.ts";
import { type Id, newId } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";

/** A word to an address about itself: that of before is nowhere else by the time it is sent. */
export function addressNotice(
  kind: "address_change_asked" | "address_changed",
  { address, userId, at }: { address: string; userId: Id; at: number },
): NewMail {
  return {
    id: newId(at),
    kind,
    userId,
    address,
    at,
    expiresAt: at + limits.addressNoticeHours * 60 * 60_000,
  };
}
