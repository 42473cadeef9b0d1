/** States what must be so. A failure is a bug of ours, never the answer to a bad request. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Bug in Keyturn: ${message}`);
}

/** Makes a switch exhaustive: the compiler complains here when a case is missing. */
export function unreachable(value: never): never {
  throw new Error(`Bug in Keyturn: unexpected ${JSON.stringify(value)}`);
}
