/** A database address as it may be shown: without user, password and parameters. */
export function databaseName(address: string): string {
  if (!/^postgres(ql)?:/.test(address)) return address;
  if (!URL.canParse(address)) return "postgres";
  const { host, pathname } = new URL(address);
  return `postgres://${host}${pathname}`;
}
