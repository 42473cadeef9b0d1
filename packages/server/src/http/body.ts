import { isUtf8 } from "node:buffer";
import type { z } from "zod";
import { Refusal } from "../errors.ts";
import { limits } from "../primitives/limits.ts";
import type { ArrivingBody } from "./arrival.ts";

/**
 * The JSON body of a request, checked against its schema.
 * @throws Refusal unsupported_media_type, body_too_large, invalid_json, invalid_request
 */
export async function readJsonBody(
  request: ArrivingBody,
  schema: z.ZodType,
  optional: boolean,
): Promise<unknown> {
  const type = request.header("content-type");
  // A form or plain text can be posted by any page without a preflight: only JSON is read.
  if (type === undefined && optional && !hasBody(request)) return check(schema, {});
  // RFC 8259 §8.1: JSON "MUST be encoded using UTF-8"; who announces anything else means other characters than we read.
  if (type === undefined || !JSON_TYPE.test(type)) throw new Refusal("unsupported_media_type");
  // RFC 9110 §8.4: who cannot decode a representation answers 415. We do not: a small body may unpack to a huge one.
  if ((request.header("content-encoding") ?? "identity").toLowerCase() !== "identity") {
    throw new Refusal("unsupported_media_type", {
      description: "Send the body as it is, without a Content-Encoding.",
    });
  }
  const bytes = await readBytes(request);
  if (bytes.byteLength === 0 && optional) return check(schema, {});
  return check(schema, parse(decodeUtf8(bytes) ?? notUtf8()));
}

const JSON_TYPE = /^application\/json\s*(;\s*charset="?utf-8"?\s*)?;?$/i;

function hasBody({ header }: ArrivingBody): boolean {
  const length = header("content-length");
  return (length !== undefined && length !== "0") || header("transfer-encoding") !== undefined;
}

/**
 * The whole body, if it is not larger than a body may be.
 * @throws Refusal body_too_large, invalid_request
 */
export async function readBytes(request: ArrivingBody): Promise<Uint8Array> {
  const length = Number(request.header("content-length") ?? 0);
  if (length > limits.bodyBytesMax) throw tooLarge();
  let bytes: Uint8Array | undefined;
  try {
    bytes = await request.readBody(limits.bodyBytesMax);
  } catch {
    // The caller hung up, or something in front of us has read the body already. Neither is a fault of ours.
    throw unreadable();
  }
  if (bytes === undefined) throw tooLarge();
  // A body was announced and is gone: something in front of us has read it.
  if (bytes.byteLength === 0 && length > 0) throw unreadable();
  return bytes;
}

function unreadable(): Refusal {
  return new Refusal("invalid_request", {
    description:
      "The body could not be read to its end. Send it again; where Keyturn is mounted, put it in front of a body parser.",
  });
}

/**
 * Undefined: the bytes are not UTF-8. RFC 8259 §8.1: no byte order mark, which is kept here so that the parser refuses it;
 * and no other byte may become a replacement character, which would be stored as if it had been sent.
 */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  if (!isUtf8(bytes)) return undefined;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
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
