import { raw } from "sql-template-tag";
import type { Compose, Letter, MailKind, QueuedMail } from "../../mail/mail.ts";
import { idFromBytes } from "../../primitives/id.ts";
import type { Database } from "../../storage/database.ts";

/** The far side of the outbox: takes what waits, makes the letters as the sender would, and opens them. */

interface Row {
  id: Uint8Array;
  kind: string;
  user_id: Uint8Array | null;
  address: string | null;
  detail: string;
  languages: string | null;
  created_at: number;
  expires_at: number;
}

export type CodeLetterSent = Extract<Letter, { link: string }>;

export function testLetters(at: {
  database: Database;
  compose: Compose;
  /** What no log may show. */
  secrets?: Set<string>;
}) {
  const { database, compose, secrets = new Set() } = at;

  /** What waits, the oldest first. */
  async function waiting(): Promise<QueuedMail[]> {
    const rows = await database.all<Row>(raw("SELECT * FROM mails WHERE done_at IS NULL ORDER BY id"));
    return rows.map((row) => ({
      id: idFromBytes(row.id),
      kind: row.kind as MailKind,
      userId: row.user_id === null ? undefined : idFromBytes(row.user_id),
      address: row.address ?? undefined,
      detail: JSON.parse(row.detail),
      languages: row.languages ?? undefined,
      createdAt: row.created_at,
      expiresAt: row.expires_at,
    }));
  }

  async function open(mail: QueuedMail): Promise<CodeLetterSent | undefined> {
    const letter = await compose(mail);
    if (letter === undefined || !("link" in letter)) return undefined;
    secrets.add(tokenOf(letter));
    return letter;
  }

  return {
    waiting,
    open,

    /** Sends all that waits: the letters with links that went out, the oldest first. */
    async deliver(): Promise<CodeLetterSent[]> {
      const mails = await waiting();
      await database.batch([raw("UPDATE mails SET done_at = created_at WHERE done_at IS NULL")]);
      const letters: CodeLetterSent[] = [];
      for (const mail of mails) {
        const letter = await open(mail);
        if (letter !== undefined) letters.push(letter);
      }
      return letters;
    },

    /** The one letter that went out. */
    async one(): Promise<CodeLetterSent> {
      const letters = await this.deliver();
      const [letter] = letters;
      if (letter === undefined || letters.length > 1) {
        throw new Error(`A test expected one letter: ${letters.map(({ kind }) => kind).join()}`);
      }
      return letter;
    },
  };
}

/** The secret of the letter's link. */
export function tokenOf({ link }: CodeLetterSent): string {
  return new URL(link).searchParams.get("token") ?? "";
}
