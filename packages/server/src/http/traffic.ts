import { Refusal } from "../errors.ts";

/** A request that waits for longer waits for its caller. */
const DRAIN_MILLISECONDS = 10_000;

export type Traffic = ReturnType<typeof createTraffic>;

/** Knows which requests are under way, so that the database is closed after the last of them. */
export function createTraffic() {
  let underWay = 0;
  let isClosed = false;
  let ended: (() => void) | undefined;

  return {
    /**
     * A request has come; when it has its answer, it `leaves`.
     * @throws Refusal unavailable once closed
     */
    enters(): void {
      if (isClosed) {
        throw new Refusal("unavailable", {
          description: "This node is stopping. Try again.",
          headers: { "Retry-After": "1" },
        });
      }
      underWay++;
    },

    leaves(): void {
      underWay--;
      if (underWay === 0) ended?.();
    },

    /** Lets no more through, and resolves when those under way have ended, after ten seconds at the latest. */
    close(): Promise<void> {
      isClosed = true;
      if (underWay === 0) return Promise.resolve();
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, DRAIN_MILLISECONDS);
        ended = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    },
  };
}
