/**
 * What the work resolves to; undefined when the sleep is over before. Both are given a signal that is aborted when it
 * is known which of them it was.
 */
export async function within<T>(
  sleep: (over: AbortSignal) => Promise<void>,
  work: (over: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const over = new AbortController();
  try {
    return (await Promise.race([work(over.signal), sleep(over.signal)])) as T | undefined;
  } finally {
    over.abort();
  }
}
