import type { Settings } from "./options.ts";
import type { Proofs } from "./proofs.ts";
import type { Runtime } from "./runtime.ts";

/** What every part of a client has to do with. */
export interface World {
  readonly settings: Settings;
  readonly runtime: Runtime;
  readonly proofs: Proofs;
  /** Aborted when the client is closed: then everything stops. */
  readonly closed: AbortSignal;
}
