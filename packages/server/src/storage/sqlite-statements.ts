import type { Statement, Value } from "./database.ts";
import { parametersOf } from "./statement-text.ts";

/**
 * Statements on their way to the writing thread, light: a text travels once and is a number from then on, and all
 * bytes lie in one buffer of their own (a small Buffer is a view on a large pool, and the whole pool would travel).
 */
export interface EncodedStatements {
  /** Texts the writing thread has not seen, each with its number. */
  texts: [number: number, text: string][] | null;
  /** The writing thread forgets all texts before it takes the new ones. */
  forget: boolean;
  /** Of each statement the number of its text and how many parameters it has. */
  shape: number[];
  /** The parameters of all statements; `undefined` stands for the next bytes. */
  values: (Value | undefined)[];
  byteLengths: number[];
  bytes: Uint8Array;
}

export interface TextAndParameters {
  readonly text: string;
  readonly parameters: readonly Value[];
}

const TEXTS_MAX = 1000;

/** @throws {TypeError} for a parameter that does not go into a column; nothing is remembered then */
export function createStatementEncoder(): (statements: readonly Statement[]) => EncodedStatements {
  const known = new Map<string, number>();
  let last = 0;
  return (statements) => {
    const packed = pack(statements);
    const forget = known.size + statements.length > TEXTS_MAX;
    if (forget) known.clear();
    let texts: EncodedStatements["texts"] = null;
    const shape: number[] = [];
    for (const statement of statements) {
      const text = statement.sql;
      let number = known.get(text);
      if (number === undefined) {
        number = ++last;
        known.set(text, number);
        texts ??= [];
        texts.push([number, text]);
      }
      shape.push(number, statement.values.length);
    }
    return { texts, forget, shape, ...packed };
  };
}

function pack(statements: readonly Statement[]): Pick<EncodedStatements, "values" | "byteLengths" | "bytes"> {
  const values: (Value | undefined)[] = [];
  const blobs: Uint8Array[] = [];
  const byteLengths: number[] = [];
  let total = 0;
  for (const statement of statements) {
    for (const value of parametersOf(statement)) {
      if (typeof value !== "object" || value === null) {
        values.push(value);
        continue;
      }
      values.push(undefined);
      blobs.push(value);
      byteLengths.push(value.byteLength);
      total += value.byteLength;
    }
  }
  const bytes = new Uint8Array(total);
  let offset = 0;
  for (const blob of blobs) {
    bytes.set(blob, offset);
    offset += blob.byteLength;
  }
  return { values, byteLengths, bytes };
}

/** The other end. Messages must come in the order of their encoding, each of them. */
export function createStatementDecoder(): (encoded: EncodedStatements) => TextAndParameters[] {
  const texts = new Map<number, string>();
  return ({ texts: added, forget, shape, values, byteLengths, bytes }) => {
    if (forget) texts.clear();
    for (const [number, text] of added ?? []) texts.set(number, text);
    const statements: TextAndParameters[] = [];
    let value = 0;
    let blob = 0;
    let offset = 0;
    for (let i = 0; i < shape.length; i += 2) {
      const parameters: Value[] = [];
      for (let left = shape[i + 1] ?? 0; left > 0; left--) {
        const given = values[value++];
        if (given !== undefined) parameters.push(given);
        else {
          const end = offset + (byteLengths[blob++] ?? 0);
          parameters.push(bytes.subarray(offset, end));
          offset = end;
        }
      }
      statements.push({ text: texts.get(shape[i] ?? 0) ?? "", parameters });
    }
    return statements;
  };
}
