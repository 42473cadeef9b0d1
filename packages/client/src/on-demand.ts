import { unavailable } from "./keyturn-error.ts";

/**
 * A part of the client that is loaded at its first use, over the same network as everything else. When that fails,
 * it is `unavailable`, and loaded at the next use.
 */
export function onDemand<T>(importing: () => Promise<T>): () => Promise<T> {
  let part: Promise<T> | undefined;
  return () => {
    part ??= importing().catch((cause) => {
      part = undefined;
      throw unavailable("A module cannot be loaded", cause);
    });
    return part;
  };
}
