import { createHash, type Hash } from "node:crypto";
import type { Database, Row } from "../database.ts";
import { StatementFailed } from "../statement-failed.ts";
import {
  compareKeys,
  deletions,
  encodeRow,
  type Key,
  keyOf,
  readPage,
  readRange,
  sameRow,
  upserts,
} from "./rows.ts";
import type { Shape } from "./shapes.ts";

const PAGE_ROWS = 1_000;
/** Times that a table whose rows stand in each other's way is gone through. */
const PASSES_MAX = 5;

export interface Side {
  readonly rows: number;
  /** SHA-256 over all columns of all rows, in the order of the primary key. */
  readonly digest: string;
}

export interface Reconciled {
  readonly table: string;
  readonly source: Side;
  readonly target: Side;
  /** Rows that were written to the target or deleted there. */
  readonly changed: number;
}

export interface Copying {
  readonly source: Database;
  readonly target: Database;
  /** Called after each page; throws to end it. */
  onRows(rows: number): void;
}

/**
 * Makes a table of the target equal to the source's: page by page in the order of the key, both sides side by side.
 *
 * With a `still` source it ends with both read and compared, every column of every row, and throws when they differ.
 * Without, what cannot be written yet (a row whose parent was added after its table was copied) is left for later.
 */
export async function reconcile(copying: Copying, shape: Shape, still: boolean): Promise<Reconciled> {
  let changed = 0;
  for (let pass = 1; ; pass++) {
    const done = await goThrough(copying, shape, still);
    changed += done.changed;
    const { source, target, left } = done;
    if (!still || (left === 0 && source.rows === target.rows && source.digest === target.digest))
      return { table: shape.name, source, target, changed };
    if (pass === PASSES_MAX)
      throw new Error(`The table ${shape.name} of the target does not become what the source's is`);
  }
}

async function goThrough(copying: Copying, shape: Shape, still: boolean) {
  const { target } = copying;
  const sides = { source: createTally(), target: createTally() };
  let changed = 0;
  let left = 0;
  for (let after: Key | undefined; ; ) {
    const page = await readPages(copying, shape, after);
    const { missing, extra } = differences(shape, page);
    if (missing.length + extra.length > 0) {
      left += await write(target, { shape, missing, extra });
      changed += missing.length + extra.length;
    }
    if (still) {
      for (const row of page.source) sides.source.add(shape, row);
      const written =
        missing.length + extra.length === 0 ? page.target : await readAgain(target, { shape, after, page });
      for (const row of written) sides.target.add(shape, row);
    }
    copying.onRows(page.source.length);
    if (page.upTo === undefined) break;
    after = page.upTo;
  }
  return { source: sides.source.end(), target: sides.target.end(), changed, left };

  async function readAgain(
    from: Database,
    { shape: of, after, page }: { shape: Shape; after: Key | undefined; page: Page },
  ): Promise<Row[]> {
    if (page.upTo === undefined) return readPage(from, { shape: of, after, rows: 2 * PAGE_ROWS });
    return readRange(from, { shape: of, after, upTo: page.upTo, rows: 2 * PAGE_ROWS });
  }
}

interface Page {
  readonly source: readonly Row[];
  readonly target: readonly Row[];
  /** The last key that both pages reach; undefined at the end of both. */
  readonly upTo: Key | undefined;
}

/** The same stretch of keys of both sides, as far as the shorter of the two pages reaches. */
async function readPages({ source, target }: Copying, shape: Shape, after: Key | undefined): Promise<Page> {
  const [ofSource, ofTarget] = await Promise.all(
    [source, target].map((side) => readPage(side, { shape, after, rows: PAGE_ROWS })),
  );
  const pages = [ofSource ?? [], ofTarget ?? []];
  const ends = pages
    .filter((rows) => rows.length === PAGE_ROWS)
    .map((rows) => keyOf(shape, rows.at(-1) as Row))
    .sort(compareKeys);
  const upTo = ends[0];
  const [one = [], other = []] = pages.map((rows) =>
    upTo === undefined ? rows : rows.filter((row) => compareKeys(keyOf(shape, row), upTo) <= 0),
  );
  return { source: one, target: other, upTo };
}

/** Both are in order: one walk finds what the target lacks or has otherwise, and what it has too much. */
function differences(shape: Shape, { source, target }: Page): { missing: Row[]; extra: Key[] } {
  const missing: Row[] = [];
  const extra: Key[] = [];
  let at = 0;
  for (const row of source) {
    const key = keyOf(shape, row);
    let order = -1;
    for (; at < target.length; at++) {
      order = compareKeys(keyOf(shape, target[at] as Row), key);
      if (order >= 0) break;
      extra.push(keyOf(shape, target[at] as Row));
    }
    if (at < target.length && order === 0) {
      if (!sameRow(shape, row, target[at] as Row)) missing.push(row);
      at++;
    } else missing.push(row);
  }
  for (; at < target.length; at++) extra.push(keyOf(shape, target[at] as Row));
  return { missing, extra };
}

/** How many rows could not be written: another row has what is theirs alone, or what they refer to is not there. */
async function write(
  target: Database,
  { shape, missing, extra }: { shape: Shape; missing: readonly Row[]; extra: readonly Key[] },
): Promise<number> {
  try {
    await target.batch([...deletions(shape, extra), ...upserts(shape, missing)]);
    return 0;
  } catch (error) {
    if (!(error instanceof StatementFailed) || error.failure === "other") throw error;
  }
  // Rows that were as they are not any more go first: one may have what now is another's. Then each by itself.
  await target.batch(deletions(shape, [...extra, ...missing.map((row) => keyOf(shape, row))]));
  let left = 0;
  for (const row of missing) {
    try {
      await target.batch(upserts(shape, [row]));
    } catch (error) {
      if (!(error instanceof StatementFailed) || error.failure === "other") throw error;
      left += 1;
    }
  }
  return left;
}

function createTally() {
  const hash: Hash = createHash("sha256");
  let rows = 0;
  return {
    add(shape: Shape, row: Row): void {
      rows += 1;
      hash.update(encodeRow(shape, row), "utf8");
    },
    end: (): Side => ({ rows, digest: hash.digest("hex") }),
  };
}
