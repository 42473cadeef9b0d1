/** Which rule of a table a statement broke; `other` is a mistake in the statement itself. */
export type StatementFailure = "unique" | "foreign_key" | "not_null" | "check" | "other";

/**
 * The engine understood and refused a statement: a constraint, or a mistake in its text. The transaction it stood
 * in was rolled back, on both engines. Asking again gives the same answer.
 *
 * The message never holds a value of a row or a parameter: it may reach a log.
 */
export class StatementFailed extends Error {
  override readonly name = "StatementFailed";
  readonly failure: StatementFailure;

  constructor(message: string, failure: StatementFailure) {
    super(message);
    this.failure = failure;
  }
}

/** Whether an insert or update lost because a row with that key is there already. */
export function isUniqueViolation(error: unknown): error is StatementFailed {
  return error instanceof StatementFailed && error.failure === "unique";
}
