import * as firstTables from "./0001-first-tables.ts";
import * as secondFactors from "./0002-second-factors.ts";
import * as rolesAndImport from "./0003-roles-and-import.ts";
import * as providers from "./0004-providers.ts";
import * as mail from "./0005-mail.ts";
import * as oauth from "./0006-oauth.ts";
import * as feedWords from "./0007-feed-words.ts";
import * as providerTokens from "./0008-provider-tokens.ts";

export interface Migration {
  /** Counts from 1 without gaps. */
  readonly version: number;
  readonly name: string;
  /**
   * The oldest tables, by their version, whose programs still run on the tables after this one: servers of before run
   * on while it does. Default: none but its own, and every server must be stopped for it.
   */
  readonly readableFrom?: number;
  /** Statements that end in `;` at the end of a line, with the two markers of ../migrate.ts. */
  readonly sql: string;
}

/**
 * Every migration there ever was, oldest first. One that was released is never changed: add another. Those of the
 * first release came after nothing, so nothing of before has to run beside them.
 */
export const migrations: readonly Migration[] = [
  { version: 1, readableFrom: 0, name: "first-tables", ...firstTables },
  { version: 2, readableFrom: 0, name: "second-factors", ...secondFactors },
  { version: 3, readableFrom: 0, name: "roles-and-import", ...rolesAndImport },
  { version: 4, readableFrom: 0, name: "providers", ...providers },
  { version: 5, readableFrom: 0, name: "mail", ...mail },
  { version: 6, readableFrom: 0, name: "oauth", ...oauth },
  { version: 7, readableFrom: 0, name: "feed-words", ...feedWords },
  { version: 8, readableFrom: 0, name: "provider-tokens", ...providerTokens },
];
