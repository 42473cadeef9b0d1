import sql, { type Sql } from "sql-template-tag";

export const selectSalt = (): Sql => sql`SELECT salt FROM pairwise_salt WHERE id = 1`;
