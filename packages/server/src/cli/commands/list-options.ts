import { isId } from "../../primitives/id.ts";
import { WrongUsage } from "../outcome.ts";

export interface ListOptions {
  readonly limit?: string;
  readonly from?: string;
}

const ROWS_MAX = 10_000;

/** The page that was asked for. `--from` takes what `next` was. */
export function pageFrom({ limit, from }: ListOptions): { rows: number; from: string | undefined } {
  const rows = limit === undefined ? 100 : /^[1-9]\d{0,4}$/.test(limit) ? Number(limit) : 0;
  if (rows < 1 || rows > ROWS_MAX) {
    throw new WrongUsage(`--limit is ${limit}; it takes a whole number from 1 to ${ROWS_MAX}.`);
  }
  return { rows, from };
}

/** The same for rows whose id is a UUID. */
export function pageFromId(options: ListOptions): { rows: number; from: string | undefined } {
  if (options.from !== undefined && !isId(options.from)) {
    throw new WrongUsage("--from takes an id, as the page before named it.");
  }
  return pageFrom(options);
}

export const moreNote = (next: string | undefined) =>
  next === undefined ? {} : { note: `There are more: add --from ${next}, or a larger --limit.` };
