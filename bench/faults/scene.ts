import type { Crowd } from "./crowd.ts";
import type { Ledger } from "./ledger.ts";
import type { World } from "./world.ts";

/** What a fault needs: the world, who is in it, and who may touch what. */
export interface Scene {
  readonly world: World;
  readonly ledger: Ledger;
  readonly crowd: Crowd;
  /** Whoever ends or starts nodes, or PostgreSQL, does so alone. */
  nodesLock<T>(work: () => Promise<T>): Promise<T>;
  postgresLock<T>(work: () => Promise<T>): Promise<T>;
  /** A node is being stopped in order, and nothing else is wrong. */
  isDraining: boolean;
  /** The server's time does not say how long ago something was, from the one call to the other and for what spans them. */
  clocksDiffer(doThey: boolean): void;
  /** The same, at one moment. */
  disturb(): void;
  readonly log: (line: string) => void;
}

export function makeLock(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>) => {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  };
}
