import type { TestContext } from "node:test";

const closings = new WeakMap<TestContext, (() => Promise<void>)[]>();

/**
 * Has something closed after the test, the last opened first: tabs are gone before the server that they talk to.
 * All of it is closed, whatever goes wrong; the first error is the test's.
 */
export function closeAfter(t: TestContext, close: () => Promise<void>): void {
  const known = closings.get(t);
  if (known !== undefined) {
    known.push(close);
    return;
  }
  const all = [close];
  closings.set(t, all);
  t.after(async () => {
    const errors: unknown[] = [];
    for (const one of all.reverse()) await one().catch((error: unknown) => errors.push(error));
    if (errors.length > 0) throw errors[0];
  });
}
