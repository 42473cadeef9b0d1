import type { RunOptions } from "./run.ts";

/** A run of some seconds, with some of each fault: what `npm test` does. */
export const shortRun: Omit<RunOptions, "engine" | "seed" | "log"> = {
  kills: 10,
  turns: 300,
  ofEach: 1,
  secondsMax: 180,
  people: 40,
  lanes: 16,
  eventfulness: 8,
  graceSeconds: 1,
  command: "source",
};
