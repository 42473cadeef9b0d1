import type { z } from "zod";
import { Refusal } from "../errors.ts";
import { limits } from "../primitives/limits.ts";

/**
 * The JSON body of a request, checked against its schema.
 * @throws Refusal unsupported_media_type, body_too_large, invalid_json, invalid_request
 */
export async function readJsonBody(request: Request, schema: z.ZodType, optional: boolean): Promise<unknown> {
  const type = request.headers.get("content-type");
  // A form or plain text can be posted by any page without a preflight: only JSON is read.
  if (type === null && optional && !hasBody(request)) return check(schema, {});
  if (type === null || !/^application\/json\s*(;|$)/i.test(type)) throw new Refusal("unsupported_media_type");
  const text = await readText(request);
  if (text === "" && optional) return check(schema, {});
  return check(schema, parse(text));
}

function hasBody(request: Request): boolean {
  const length = request.headers.get("content-length");
  return (length !== null && length !== "0") || request.headers.has("transfer-encoding");
}

async function readText(request: Request): Promise<string> {
  const length = request.headers.get("content-length");
  if (length !== null && Number(length) > limits.bodyBytesMax) throw tooLarge();
  // node:http holds a body to its Content-Length. Elsewhere, and without one, the bytes are counted.
  const text = length === null ? await readCounted(request) : await request.text();
  if (text.length > limits.bodyBytesMax) throw tooLarge();
  return text;
}

async function readCounted(request: Request): Promise<string> {
  if (request.body === null) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > limits.bodyBytesMax) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
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
  if (hasRepeatedMember(text)) {
    // RFC 8259 §4: what a repeated name means differs from parser to parser, so one in front of us may have
    // checked another value than the one that we would use.
    throw new Refusal("invalid_request", {
      description: "A member of the JSON object is repeated. Send it once.",
    });
  }
  return value;
}

const STRUCTURE = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g;

/** Whether the outermost object of a valid JSON text names a member twice. */
export function hasRepeatedMember(text: string): boolean {
  const names = new Set<string>();
  let depth = 0;
  for (const [token, colon] of text.matchAll(STRUCTURE)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (colon !== undefined && depth === 1) {
      const name: string = JSON.parse(token.slice(0, -colon.length));
      if (names.has(name)) return true;
      names.add(name);
    }
  }
  return false;
}

function check(schema: z.ZodType, value: unknown): unknown {
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  const where = issue?.path.join(".");
  const what = issue?.message ?? "not as expected";
  throw new Refusal("invalid_request", { description: where ? `${where}: ${what}.` : `The body: ${what}.` });
}
