const numbers = { SIGINT: 2, SIGTERM: 15 } as const;

export interface Signals {
  /** Resolves at the first signal. */
  readonly received: Promise<void>;
  /** From now on signals do what they do by themselves. */
  release(): void;
}

/** Makes of the first SIGINT or SIGTERM an event; the second ends the process with 128 and its number. */
export function catchSignals(onFirst: () => void): Signals {
  const { promise: received, resolve } = Promise.withResolvers<void>();
  let seen = false;
  const caught = (Object.keys(numbers) as (keyof typeof numbers)[]).map((signal) => {
    const listener = () => {
      if (seen) process.exit(128 + numbers[signal]);
      seen = true;
      onFirst();
      resolve();
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  return {
    received,
    release() {
      for (const { signal, listener } of caught) process.off(signal, listener);
    },
  };
}
