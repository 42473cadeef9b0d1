import type { ParameterKind, Result, Row, Statement, StatementSet, Value } from "./database.ts";
import { parametersOf } from "./statement-text.ts";

const READ = /^\s*SELECT\b/;
const CHANGE = /^\s*UPDATE (?<target>[\s\S]+?)(?<condition>\n\s*WHERE\b[\s\S]+)$/;

/**
 * The set of a statement. Two forms are taken: a SELECT, and an UPDATE of one table without FROM or RETURNING whose
 * WHERE begins a line. Its own names must not be `p`, `nth` or `v1`, `v2` ….
 *
 * One statement for a set costs a fraction of as many statements: they are parsed, planned, sent and answered once.
 */
export function setFrom(text: string, kinds: readonly ParameterKind[]): StatementSet {
  const arrays: string[] = [];
  const columns: string[] = [];
  const names = new Map<string, string>();
  for (const [index, kind] of kinds.entries()) {
    const parameter = `$${index + 1}`;
    if (kind === "same") continue;
    arrays.push(`CAST(${parameter} AS ${kind}[])`);
    columns.push(`v${index + 1}`);
    names.set(parameter, `p.v${index + 1}`);
  }
  const one = text.replace(/\$\d+/g, (parameter) => names.get(parameter) ?? parameter);
  // A number of rows that the planner cannot know is taken to be one: the plan is a look-up by key for each, in their
  // order, whatever the tables hold by now, and the same for every number, so that it is kept.
  const rows = `SELECT * FROM unnest(${arrays.join(", ")}) WITH ORDINALITY LIMIT CAST($${kinds.length + 1} AS BIGINT)`;
  const all = `(${rows}) AS p (${columns.join(", ")}, nth)`;
  // LIMIT keeps the reads from being planned as one join: each is the look-up by key that it is alone.
  if (READ.test(text))
    return {
      kinds,
      text: `SELECT p.nth, q.* FROM ${all} CROSS JOIN LATERAL (${one} LIMIT 1) q`,
      changesRows: false,
    };
  const parts = CHANGE.exec(one)?.groups;
  if (parts === undefined)
    throw new TypeError("Only a SELECT or an UPDATE with a WHERE can be said of a set");
  return {
    kinds,
    text: `UPDATE ${parts.target}\n  FROM ${all}${parts.condition} RETURNING p.nth`,
    changesRows: true,
  };
}

/** What is sent to the engine in place of the statements, and how its answers become theirs. */
export interface Folded {
  readonly queries: readonly Query[];
  /** Whether some of them change a set of rows. */
  readonly changesSets: boolean;
  unfold(answers: readonly Result[]): Result[];
}

export interface Query {
  readonly text: string;
  /** Checked; a list is an array of the engine's. */
  readonly values: readonly (Value | Value[])[];
}

/**
 * Makes one of statements that stand side by side and differ in nothing but their parameters. Those that change rows
 * must each change another row, one at most: a second change of a row by the same set would not happen.
 */
export function fold(statements: readonly Statement[]): Folded {
  const queries: Query[] = [];
  const lengths: number[] = [];
  let changesSets = false;
  for (let at = 0; at < statements.length; ) {
    const first = statements[at] as Statement;
    let end = at + 1;
    while (end < statements.length && belongTogether(first, statements[end] as Statement)) end++;
    const run = statements.slice(at, end);
    if (run.length === 1 || first.set === undefined) {
      queries.push({ text: first.text, values: parametersOf(first) });
    } else {
      queries.push(queryOf(first.set, run));
      changesSets ||= first.set.changesRows;
    }
    lengths.push(run.length);
    at = end;
  }
  if (queries.length === statements.length)
    return { queries, changesSets, unfold: (answers) => [...answers] };
  const unfold = (answers: readonly Result[]) =>
    answers.flatMap((answer, index) => {
      const length = lengths[index] ?? 1;
      return length === 1 ? [answer] : apart(answer.rows, length);
    });
  return { queries, changesSets, unfold };
}

function belongTogether({ set, values }: Statement, other: Statement): boolean {
  if (set === undefined || other.set !== set) return false;
  return set.kinds.every((kind, index) => kind !== "same" || values[index] === other.values[index]);
}

function queryOf({ text, kinds }: StatementSet, run: readonly Statement[]): Query {
  const all = run.map(parametersOf);
  const [first = []] = all;
  const values = kinds.map((kind, index) =>
    kind === "same" ? (first[index] ?? null) : all.map((one) => one[index] ?? null),
  );
  return { text, values: [...values, run.length] };
}

/** An answer to a set is the answers to its statements, each row with the place of its statement. */
function apart(answer: readonly Row[], length: number): Result[] {
  const results = Array.from({ length }, () => ({ rows: [] as Row[], changes: 0 }));
  for (const { nth, ...row } of answer) {
    const result = results[Number(nth) - 1];
    if (result === undefined) throw new Error("Bug in Keyturn: an answer to a statement that was not asked");
    // A change answers with its place alone.
    if (Object.keys(row).length === 0) result.changes += 1;
    else result.rows.push(row);
  }
  return results;
}
