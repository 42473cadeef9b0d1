import type { KeyObject } from "node:crypto";
import { equalBytes } from "../../primitives/compare.ts";
import { hmacSha256, sha256 } from "../../primitives/digest.ts";
import { randomBytes } from "../../primitives/random.ts";

const PREFIX = "kmt_";
const SECRET_BYTES = 32;
const ADDRESS_BYTES = 16;
const TAG_BYTES = 16;
const BYTES = SECRET_BYTES + ADDRESS_BYTES + TAG_BYTES;

/** What a ticket says of its holder. */
export interface Asker {
  /** In whose hands the digits of the letter are good. */
  readonly digest: Buffer;
  /** Stands for the address that was typed, in the limits on guessing. */
  readonly address: string;
}

export type AskerTickets = ReturnType<typeof createAskerTickets>;

/**
 * What an asker holds while the letter is under way: nothing is stored for it, and it is made alike for an address that
 * nobody has. It carries whom to count guesses against, under a tag, so that a made-up one costs no look.
 */
export function createAskerTickets({ key }: { key: KeyObject }) {
  const addressOf = (emailKey: string) => hmacSha256(key, `address ${emailKey}`).subarray(0, ADDRESS_BYTES);
  const tagOf = (head: Buffer) =>
    hmacSha256(key, Buffer.concat([Buffer.from("ticket "), head])).subarray(0, TAG_BYTES);

  return {
    issue(emailKey: string): string {
      const head = Buffer.concat([randomBytes(SECRET_BYTES), addressOf(emailKey)]);
      return PREFIX + Buffer.concat([head, tagOf(head)]).toString("base64url");
    },

    /** Undefined for what was not made here. */
    open(ticket: string): Asker | undefined {
      if (!ticket.startsWith(PREFIX) || ticket.length > 2 * BYTES) return undefined;
      const text = ticket.slice(PREFIX.length);
      const bytes = Buffer.from(text, "base64url");
      if (bytes.length !== BYTES || bytes.toString("base64url") !== text) return undefined;
      const head = bytes.subarray(0, BYTES - TAG_BYTES);
      if (!equalBytes(bytes.subarray(head.length), tagOf(head))) return undefined;
      return { digest: sha256(ticket), address: head.toString("hex", SECRET_BYTES) };
    },

    /** The same name for an address as in a ticket. */
    nameOf: (emailKey: string): string => addressOf(emailKey).toString("hex"),
  };
}
