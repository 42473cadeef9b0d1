/** A value at once, where the runtime verifies synchronously, or a promise of it, where it does not. */
export type MaybePromise<T> = T | Promise<T>;

/** Goes on with the value: at once when it is there, so that nothing waits a turn of the event loop for nothing. */
export function whenThere<T, R>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<R>,
): MaybePromise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
