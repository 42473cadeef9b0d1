import { limits } from "../../../primitives/limits.ts";
import type { ImportField } from "../../../users/importing.ts";
import { csvRecords, headerFrom } from "./csv.ts";
import { fieldNamed, type Parsed, parseFields, refuse, unknownColumn } from "./fields.ts";
import { type Line, linesOf, textOf } from "./lines.ts";

export type ImportFormat = "csv" | "jsonl";

/** What stands on a line of the file. */
export interface ImportRecord {
  readonly line: number;
  readonly parsed: Parsed;
}

/** The file as a whole is not one: nothing of it is taken. */
export class UnreadableFile extends Error {
  override readonly name = "UnreadableFile";
}

const tooLong = refuse(
  undefined,
  `The line is longer than ${limits.importLineBytesMax / 1024} KB and was read past.`,
);
const notUtf8 = refuse(undefined, "The line is not UTF-8.");

/**
 * The users of a file, one at a time.
 * @throws UnreadableFile when its first line says that it is no such file
 */
export async function* recordsOf(
  chunks: AsyncIterable<Uint8Array | string>,
  { format, ignore = [] }: { format?: ImportFormat | undefined; ignore?: readonly string[] | undefined },
): AsyncGenerator<ImportRecord> {
  const lines = linesOf(chunks);
  const first = await firstLine(lines);
  if (first === undefined) return;
  const isCsv = (format ?? (first.text.startsWith("{") ? "jsonl" : "csv")) === "csv";
  const ignored = new Set(ignore);
  if (!isCsv) {
    if (first.text.startsWith("[")) {
      throw new UnreadableFile("The file is one JSON array; it takes one object a line.");
    }
    for await (const line of again(first.line, lines)) {
      const parsed = jsonRecord(line, ignored);
      if (parsed !== undefined) yield { line: line.number, parsed };
    }
    return;
  }
  const columns = columnsFrom(await headerFrom(first.text), ignored);
  for await (const { line, cells, problem } of csvRecords(lines)) {
    yield { line, parsed: cells === undefined ? refuse(undefined, problem) : csvRecord(cells, columns) };
  }
}

/** The first line that is not empty, which must be readable. */
async function firstLine(lines: AsyncGenerator<Line>): Promise<{ line: Line; text: string } | undefined> {
  for (;;) {
    // Not for await: that would end the generator, and with it the stream.
    const { value: line, done } = await lines.next();
    if (done === true) return undefined;
    const text = line.bytes && textOf(line.bytes);
    if (text === undefined || text.includes("\0")) {
      throw new UnreadableFile(
        "The file begins with what is no text in UTF-8, or with a line that is too long.",
      );
    }
    if (text.trim() !== "") return { line, text: text.trimStart() };
  }
}

async function* again(first: Line, rest: AsyncGenerator<Line>): AsyncGenerator<Line> {
  yield first;
  yield* rest;
}

function jsonRecord({ bytes }: Line, ignored: ReadonlySet<string>): Parsed | undefined {
  if (bytes === undefined) return tooLong;
  const text = textOf(bytes);
  if (text === undefined) return notUtf8;
  if (text.trim() === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own words would quote the line.
    return refuse(undefined, "The line is not JSON.");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(undefined, "The line is not a JSON object.");
  }
  const values = new Map<ImportField, unknown>();
  for (const [name, member] of Object.entries(value)) {
    if (ignored.has(name)) continue;
    const field = fieldNamed(name);
    if (field === undefined) return refuse(undefined, unknownColumn(name));
    if (values.has(field)) return refuse(field, "It stands there twice.");
    values.set(field, member);
  }
  return parseFields(values);
}

/** Which field each column is; undefined for one that is left out. */
function columnsFrom(header: readonly string[], ignored: ReadonlySet<string>): (ImportField | undefined)[] {
  const columns = header.map((name) => {
    if (ignored.has(name)) return undefined;
    const field = fieldNamed(name);
    if (field === undefined)
      throw new UnreadableFile(`The first line must name the columns. ${unknownColumn(name)}`);
    return field;
  });
  for (const field of columns) {
    if (field !== undefined && columns.indexOf(field) !== columns.lastIndexOf(field)) {
      throw new UnreadableFile(`The first line names the column ${field} twice.`);
    }
  }
  if (!columns.includes("username")) {
    throw new UnreadableFile("The first line must name the columns, and one of them must be username.");
  }
  return columns;
}

function csvRecord(cells: readonly string[], columns: readonly (ImportField | undefined)[]): Parsed {
  if (cells.length !== columns.length) {
    return refuse(undefined, `The line has ${cells.length} columns, the first one ${columns.length}.`);
  }
  const values = new Map<ImportField, unknown>();
  for (const [index, field] of columns.entries()) if (field !== undefined) values.set(field, cells[index]);
  return parseFields(values);
}
