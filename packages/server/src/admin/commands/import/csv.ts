import { limits } from "../../../primitives/limits.ts";
import { type Line, textOf } from "./lines.ts";

/** A record of a CSV file (RFC 4180), at its first line; or what is wrong with that line. */
export type CsvRecord =
  | { readonly line: number; readonly cells: readonly string[]; readonly problem?: undefined }
  | { readonly line: number; readonly cells?: undefined; readonly problem: string };

const QUOTE = 34;
const LF = Buffer.from("\n");

type ParseLine = (text: string) => readonly string[] | undefined;

async function loadParser(): Promise<ParseLine> {
  const { parse } = await import("csv-parse/sync");
  return (text) => {
    try {
      const records: string[][] = parse(text, { relax_column_count: true, record_delimiter: ["\u0000"] });
      return records.length === 1 ? records[0] : undefined;
    } catch {
      // Its words would quote the line.
      return undefined;
    }
  };
}

/** The names of the columns. */
export async function headerFrom(text: string): Promise<readonly string[]> {
  return ((await loadParser())(text) ?? [text]).map((name) => name.trim());
}

/**
 * The records that follow. A parser of a whole file takes all that comes after a quote that nobody closed for one
 * field. Here a record ends where its quotes are even, and is parsed alone: a line that is broken costs itself only.
 */
export async function* csvRecords(lines: AsyncIterator<Line>): AsyncGenerator<CsvRecord> {
  const parse = await loadParser();
  let waiting: Line[] = [];
  let isOver = false;

  async function lineAt(index: number): Promise<Line | undefined> {
    while (!isOver && waiting.length <= index) {
      const { value, done } = await lines.next();
      if (done === true) isOver = true;
      else waiting.push(value);
    }
    return waiting[index];
  }

  /** How many of the waiting lines are one record; 0 when its quotes are not closed. */
  async function linesOfRecord(): Promise<number> {
    let quotes = 0;
    let bytes = 0;
    for (let index = 0; index < limits.importRecordLinesMax; index++) {
      const line = await lineAt(index);
      if (line?.bytes === undefined) return 0;
      quotes += quotesIn(line.bytes);
      bytes += line.bytes.length;
      if (quotes % 2 === 0) return index + 1;
      if (bytes > limits.importLineBytesMax) return 0;
    }
    return 0;
  }

  for (let first = await lineAt(0); first !== undefined; first = await lineAt(0)) {
    if (first.bytes?.length === 0) {
      waiting = waiting.slice(1);
      continue;
    }
    const count = await linesOfRecord();
    const read = readRecord(first, waiting.slice(0, count), parse);
    // Of a record that is broken the first line is refused, and the next one may be whole.
    waiting = waiting.slice(read.cells === undefined ? 1 : count);
    yield read;
  }
}

function readRecord(first: Line, parts: readonly Line[], parse: ParseLine): CsvRecord {
  const line = first.number;
  if (first.bytes === undefined) {
    return {
      line,
      problem: `The line is longer than ${limits.importLineBytesMax / 1024} KB and was read past.`,
    };
  }
  if (parts.length === 0) return { line, problem: "A quote is opened on this line and not closed." };
  const bytes = parts.flatMap((part, index) => [...(index > 0 ? [LF] : []), part.bytes ?? LF]);
  const text = textOf(Buffer.concat(bytes));
  if (text === undefined) return { line, problem: "The line is not UTF-8." };
  if (text.includes("\0")) return { line, problem: "The line has a NUL in it." };
  const cells = parse(text);
  return cells === undefined
    ? { line, problem: "The quotes on this line are not those of CSV." }
    : { line, cells };
}

function quotesIn(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(QUOTE); at >= 0; at = bytes.indexOf(QUOTE, at + 1)) count += 1;
  return count;
}
