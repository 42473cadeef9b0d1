/** The file of a SQLite database; undefined for another engine. */
export function databaseFile(url: string): string | undefined {
  return url.startsWith("sqlite:") ? url.slice("sqlite:".length) : undefined;
}
