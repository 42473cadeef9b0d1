import type { Result, Value } from "./database.ts";
import type { StatementFailure } from "./statement-failed.ts";

/**
 * What the calling thread asks of the writing thread. Statements travel as numbers; a text travels once, with the
 * first message that needs it (`texts`), because a text is longer than its parameters.
 */
export interface Statements {
  /** Texts the writing thread has not seen, each with the number that stands for it from now on. */
  texts: [number: number, text: string][] | null;
  /** The writing thread forgets all texts before it takes the new ones. */
  forget: boolean;
  numbers: number[];
  parameters: Value[][];
}

export type Request =
  /** All statements in one transaction. */
  | ({ id: number; kind: "batch" } & Statements)
  /** Statements inside the transaction that `begin` opened. */
  | ({ id: number; kind: "run" } & Statements)
  | { id: number; kind: "begin" | "commit" | "rollback" | "close" };

export type Failure =
  | { kind: "unavailable"; message: string }
  | { kind: "statement"; message: string; failure: StatementFailure };

export interface Reply {
  id: number;
  results?: Result[];
  failure?: Failure;
}

/** The first message of the writing thread, then a list of replies for every group of requests. */
export type WriterMessage = { opened: true } | { refused: string } | Reply[];

/** Texts the writing thread remembers. Beyond that both sides forget all of them and start anew. */
export const TEXTS_MAX = 1000;
