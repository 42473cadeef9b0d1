import { insertMail } from "../../mail/outbox.sql.ts";
import type { Id } from "../../primitives/id.ts";
import type { Sql } from "../../storage/database.ts";
import { userExists } from "../users.sql.ts";
import { letterToSend, type MailDoor } from "./queued.ts";

/**
 * Whoever has made an account by their own hand is asked whether the address is theirs: for the transaction that adds
 * the user, if it does.
 */
export function verificationOfNew(
  { isOn }: Pick<MailDoor, "isOn">,
  user: { id: Id; email: string | null; at: number; languages?: string | undefined },
): Sql[] {
  const { id, email, at, languages } = user;
  if (email === null || !isOn) return [];
  const letter = letterToSend({ kind: "verify_address", address: email, at, userId: id, languages });
  return [insertMail(letter, userExists(id))];
}
