/**
 * How a User-Agent stands in a session's row. Browsers send over a hundred characters of which nearly all are the same
 * for everybody, and were the largest part of a row: the parts that recur are one character each here, a control
 * character, which no header field can have (RFC 9110 §5.5). What is not in the table stays as it is.
 *
 * Rows keep what was written: a part is added at the end, and none is ever changed or moved.
 */
const parts: readonly string[] = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
  ".0.0.0 Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/",
  "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
  ".0.0.0 Mobile Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS ",
  " like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/",
  " Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (X11; Linux x86_64",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:",
  ".0) Gecko/20100101 Firefox/",
  "537.36 (KHTML, like Gecko) Chrome/",
  "605.1.15 (KHTML, like Gecko) Version/",
  "Mozilla/5.0 (",
  " AppleWebKit/",
  " (KHTML, like Gecko) ",
  " Safari/",
  " Mobile/",
];

const FIRST = 1;
/** Tab, line feed and carriage return are not used: what shows a row as text may treat them as its own. */
const codes = parts.map((_, index) => {
  const code = FIRST + index;
  return String.fromCharCode(code < 9 ? code : code + 5);
});
const partOf = new Map(codes.map((code, index) => [code, parts[index] as string]));
const codeOf = new Map(parts.map((part, index) => [part, codes[index] as string]));
const anyPart = new RegExp(parts.map((part) => part.replaceAll(/[.()]/g, "\\$&")).join("|"), "g");
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are the codes
const anyControl = /[\u0000-\u001f]/g;

export function packUserAgent(userAgent: string): string {
  return userAgent.replace(anyControl, " ").replace(anyPart, (part) => codeOf.get(part) as string);
}

export function unpackUserAgent(packed: string): string {
  return packed.replace(anyControl, (code) => partOf.get(code) ?? code);
}
