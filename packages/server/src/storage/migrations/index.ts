import * as firstTables from "./0001-first-tables.ts";
import * as providers from "./0002-providers.ts";

export interface Migration {
  /** Counts from 1 without gaps. */
  readonly version: number;
  readonly name: string;
  /** Statements that end in `;` at the end of a line, with the two markers of ../migrate.ts. */
  readonly sql: string;
}

/** Every migration there ever was, oldest first. One that was released is never changed: add another. */
export const migrations: readonly Migration[] = [
  { version: 1, name: "first-tables", ...firstTables },
  { version: 2, name: "providers", ...providers },
];
