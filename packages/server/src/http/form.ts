import { Refusal } from "../errors.ts";
import { limits } from "../primitives/limits.ts";
import type { ArrivingBody } from "./arrival.ts";
import { decodeUtf8, readBytes } from "./body.ts";

/** The URL Standard, §5: what a browser makes of a form without files. */
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(;\s*charset="?utf-8"?\s*)?;?$/i;

/**
 * The fields of a posted form, each at most once.
 * @throws Refusal unsupported_media_type, body_too_large, invalid_request
 */
export async function readForm(request: ArrivingBody): Promise<ReadonlyMap<string, string>> {
  if (!FORM_TYPE.test(request.header("content-type") ?? "")) throw new Refusal("unsupported_media_type");
  // A small body may unpack to a huge one.
  if ((request.header("content-encoding") ?? "identity").toLowerCase() !== "identity") {
    throw new Refusal("unsupported_media_type");
  }
  return parseForm(decodeUtf8(await readBytes(request)) ?? refuse());
}

/** Stricter than URLSearchParams, which puts a replacement character where bytes are not UTF-8. */
function parseForm(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  if (text === "") return fields;
  const pairs = text.split("&", limits.formFieldsMax + 1);
  if (pairs.length > limits.formFieldsMax) refuse();
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals));
    // What a repeated name means differs from reader to reader, so one in front of us may have checked another value.
    if (fields.has(name)) refuse();
    fields.set(name, equals < 0 ? "" : decoded(pair.slice(equals + 1)));
  }
  return fields;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return refuse();
  }
}

function refuse(): never {
  throw new Refusal("invalid_request", { description: "The form is malformed, or a field is repeated." });
}
