import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { ResolvedSettings } from "../../../config.ts";
import { databaseFile } from "../../../storage/database-file.ts";
import { pendingMigrations } from "../../../storage/migrate.ts";
import { openDatabase } from "../../../storage/open.ts";
import { copySqlite, type Examined } from "../../../storage/sqlite-copy.ts";

export type BackUp =
  | {
      readonly outcome: "done";
      readonly file: string;
      readonly bytes: number;
      readonly copied: Examined;
      readonly secretIn: SecretPlace;
    }
  | { readonly outcome: "postgres" }
  | { readonly outcome: "exists" | "is_the_database" | "no_database"; readonly file: string };

/** Where the master secret is that a backup is worth nothing without. */
export type SecretPlace = { readonly setting: true } | { readonly file: string };

/** Copies the database to a file, beside whatever servers run on it. The master secret is not in it. */
export async function backUp(
  settings: ResolvedSettings,
  { file, force }: { file: string; force: boolean },
): Promise<BackUp> {
  const from = databaseFile(settings.database);
  if (from === undefined) return { outcome: "postgres" };
  const to = resolve(file);
  if (!existsSync(from)) return { outcome: "no_database", file: from };
  if ([from, `${from}-wal`, `${from}-shm`].some((own) => isSameFile(own, to)))
    return { outcome: "is_the_database", file: to };
  if (existsSync(to) && !force) return { outcome: "exists", file: to };
  // Refused by name when it was moved away, or is of a newer Keyturn.
  const database = await openDatabase({ url: settings.database });
  try {
    await pendingMigrations(database);
  } finally {
    await database.close();
  }
  const copied = copySqlite(resolve(from), to);
  return { outcome: "done", file: to, bytes: statSync(to).size, copied, secretIn: secretPlace(settings) };
}

export function secretPlace(settings: Pick<ResolvedSettings, "secret" | "data">): SecretPlace {
  return settings.secret === undefined ? { file: resolve(settings.data, "secret") } : { setting: true };
}

/** By whatever name: a copy must not take the place of what is copied. */
function isSameFile(one: string, other: string): boolean {
  if (resolve(one) === other) return true;
  const [a, b] = [one, other].map((file) => statSync(file, { throwIfNoEntry: false }));
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}
