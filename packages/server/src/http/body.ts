import type { z } from "zod";
import { Refusal } from "../errors.ts";
import { limits } from "../primitives/limits.ts";

/**
 * The JSON body of a request, checked against its schema.
 * @throws Refusal unsupported_media_type, body_too_large, invalid_json, invalid_request
 */
export async function readJsonBody(request: Request, schema: z.ZodType, optional: boolean): Promise<unknown> {
  const { headers } = request;
  const type = headers.get("content-type");
  // A form or plain text can be posted by any page without a preflight: only JSON is read.
  if (type === null && optional && !hasBody(request)) return check(schema, {});
  // RFC 8259 §8.1: JSON "MUST be encoded using UTF-8"; who announces anything else means other characters than we read.
  if (type === null || !JSON_TYPE.test(type)) throw new Refusal("unsupported_media_type");
  // RFC 9110 §8.4: who cannot decode a representation answers 415. We do not: a small body may unpack to a huge one.
  if ((headers.get("content-encoding") ?? "identity").toLowerCase() !== "identity") {
    throw new Refusal("unsupported_media_type", {
      description: "Send the body as it is, without a Content-Encoding.",
    });
  }
  const bytes = await readBytes(request);
  if (bytes.byteLength === 0 && optional) return check(schema, {});
  return check(schema, parse(decodeUtf8(bytes) ?? notUtf8()));
}

const JSON_TYPE = /^application\/json\s*(;\s*charset="?utf-8"?\s*)?;?$/i;

function hasBody(request: Request): boolean {
  const length = request.headers.get("content-length");
  return (length !== null && length !== "0") || request.headers.has("transfer-encoding");
}

/**
 * The whole body, if it is not larger than a body may be.
 * @throws Refusal body_too_large, invalid_request
 */
export async function readBytes(request: Request): Promise<Uint8Array> {
  const length = request.headers.get("content-length");
  if (length !== null && Number(length) > limits.bodyBytesMax) throw tooLarge();
  try {
    // node:http holds a body to its Content-Length. Elsewhere, and without one, the bytes are counted.
    const bytes = length === null ? await readCounted(request) : new Uint8Array(await request.arrayBuffer());
    if (bytes.byteLength > limits.bodyBytesMax) throw tooLarge();
    // A body was announced and is gone: something in front of us has read it.
    if (bytes.byteLength === 0 && Number(length ?? 0) > 0) throw unreadable();
    return bytes;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    // The caller hung up, or something in front of us has read the body already. Neither is a fault of ours.
    throw unreadable();
  }
}

function unreadable(): Refusal {
  return new Refusal("invalid_request", {
    description:
      "The body could not be read to its end. Send it again; where Keyturn is mounted, put it in front of a body parser.",
  });
}

async function readCounted(request: Request): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > limits.bodyBytesMax) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

// RFC 8259 §8.1: no byte order mark, which is kept here so that the parser refuses it; and no byte that is not
// UTF-8 may become a replacement character, which would be stored as if it had been sent.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Undefined: the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function notUtf8(): never {
  throw new Refusal("invalid_json", { description: "The body is not UTF-8, as JSON has to be." });
}

function tooLarge(): Refusal {
  return new Refusal("body_too_large", {
    description: `The body is larger than ${limits.bodyBytesMax} bytes, which is all that this endpoint takes.`,
    headers: { Connection: "close" },
  });
}

function parse(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal("invalid_json");
  }
  if (hasRepeatedMember(text, value)) {
    // RFC 8259 §4: what a repeated name means differs from parser to parser, so one in front of us may have
    // checked another value than the one that we would use.
    throw new Refusal("invalid_request", {
      description: "A member of the JSON object is repeated. Send it once.",
    });
  }
  return value;
}

/**
 * Whether the outermost object of a JSON text, which was parsed to `value`, names a member twice: then the text has
 * more names than the value. Strings are stepped over as a whole, so nothing inside them counts.
 */
export function hasRepeatedMember(text: string, value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  let depth = 0;
  let names = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") depth--;
    else if (character === ":" && depth === 1) names++;
    else if (character === '"') at = endOfString(text, at);
  }
  return names !== Object.keys(value).length;
}

/** Where the string that begins at `from` ends. The text is known to be valid JSON. */
function endOfString(text: string, from: number): number {
  let end = text.indexOf('"', from + 1);
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === "\\") backslashes++;
  return backslashes % 2 === 1;
}

function check(schema: z.ZodType, value: unknown): unknown {
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  const where = issue?.path.join(".");
  const what = issue?.message ?? "not as expected";
  throw new Refusal("invalid_request", { description: where ? `${where}: ${what}.` : `The body: ${what}.` });
}
