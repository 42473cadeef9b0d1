import type { Clock } from "../../../primitives/clock.ts";
import { limits } from "../../../primitives/limits.ts";
import { type CheckedImport, checkImported, type Importing } from "../../../users/importing.ts";
import { operator } from "../users.ts";
import { type ImportFormat, type ImportRecord, recordsOf } from "./records.ts";

/** A line that was not taken: where, which field, why. Never what stood there. */
export interface RefusedLine {
  readonly line: number;
  readonly field: string | undefined;
  readonly problem: string;
}

export interface ImportCounts {
  /** Lines with a user on them, or with what was meant to be one. */
  readonly lines: number;
  readonly added: number;
  /** Who was there already, by an earlier run. */
  readonly present: number;
  readonly refused: number;
}

export interface ImportOptions {
  /** Default: JSON lines when the file begins with a brace, else CSV. */
  readonly format?: ImportFormat | undefined;
  /** Columns that are left out. */
  readonly ignore?: readonly string[] | undefined;
  /** Looks at everything and writes nothing. */
  readonly dryRun?: boolean | undefined;
  readonly onRefused: (line: RefusedLine) => void | Promise<void>;
  readonly onProgress?: ((counts: ImportCounts) => void) | undefined;
}

interface ImportRooms {
  readonly importing: Importing;
  readonly clock: Clock;
}

/** A line that waits for its batch: refused ones too, so that the report is in the order of the file. */
interface Pending {
  readonly line: number;
  readonly checked: CheckedImport | Refused;
}

type Refused = { readonly outcome: "refused" } & Omit<RefusedLine, "line">;

/**
 * Brings the users of a file along, a batch in a transaction, and holds no more than a batch of them. Running it again
 * adds what is missing: whoever is there is left as they are.
 * @throws UnreadableFile when it is no file of users; nothing has been written then
 */
export async function importUsers(
  { importing, clock }: ImportRooms,
  chunks: AsyncIterable<Uint8Array | string>,
  options: ImportOptions,
): Promise<ImportCounts> {
  const counts = { lines: 0, added: 0, present: 0, refused: 0 };
  const seen = createSeen();
  let batch: Pending[] = [];

  async function write(): Promise<void> {
    const users = batch.flatMap(({ checked }) => (checked.outcome === "checked" ? [checked] : []));
    const outcomes = await (options.dryRun === true
      ? importing.foresee(users)
      : importing.add(users, operator));
    for (const { line, checked } of batch) {
      const outcome = checked.outcome === "checked" ? outcomes.shift() : checked;
      if (outcome === undefined) throw new Error("Bug in Keyturn: a line of an import without an outcome");
      counts[outcome.outcome] += 1;
      if (outcome.outcome !== "refused") continue;
      await options.onRefused({ line, field: outcome.field, problem: outcome.problem });
    }
    batch = [];
    options.onProgress?.({ ...counts });
  }

  async function take({ line, parsed }: ImportRecord): Promise<void> {
    counts.lines += 1;
    let checked = parsed.outcome === "refused" ? parsed : checkImported(parsed.user, clock.now());
    if (checked.outcome === "checked") checked = seen.find(checked) ?? seen.note(checked, line);
    batch.push({ line, checked });
    if (batch.length === limits.importBatchMax) await write();
  }

  for await (const record of recordsOf(chunks, options)) await take(record);
  if (batch.length > 0) await write();
  return counts;
}

/** The names of the last lines: one that stands there twice is somebody's mistake, and not a second run. */
function createSeen() {
  let young = new Map<string, number>();
  let old = new Map<string, number>();

  const namesOf = ({ user, externalId }: CheckedImport) =>
    [
      ["username", user.username_key],
      ["email", user.email_key],
      ["externalId", externalId],
    ] as const;

  return {
    find(checked: CheckedImport): Refused | undefined {
      for (const [field, name] of namesOf(checked)) {
        const line = young.get(`${field} ${name}`) ?? old.get(`${field} ${name}`);
        if (name != null && line !== undefined)
          return { outcome: "refused", field, problem: `It stands on line ${line} too.` };
      }
      return undefined;
    },
    note(checked: CheckedImport, line: number): CheckedImport {
      for (const [field, name] of namesOf(checked)) if (name != null) young.set(`${field} ${name}`, line);
      if (young.size * 2 >= limits.importNamesRemembered) {
        old = young;
        young = new Map();
      }
      return checked;
    },
  };
}
