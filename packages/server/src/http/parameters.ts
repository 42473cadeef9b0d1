import { Refusal } from "../errors.ts";
import { limits } from "../primitives/limits.ts";
import type { ArrivingBody } from "./arrival.ts";
import { decodeUtf8, readBytes } from "./body.ts";

/**
 * A form is ASCII, whatever charset is said to be its own: the URL Standard §5 knows no parameter. Apache's HttpClient says
 * ISO-8859-1. What is encoded in it has to be UTF-8, RFC 6749 Appendix B.
 */
const FORM_TYPE =
  /^application\/x-www-form-urlencoded\s*(;\s*charset="?(utf-8|iso-8859-1|us-ascii)"?\s*)?;?$/i;
/** RFC 8707 §2: "Multiple resource parameters MAY be used"; RFC 8693 §2.1: the same of `resource` and `audience`. */
const REPEATABLE: ReadonlySet<string> = new Set(["resource", "audience"]);

/**
 * The parameters of an OAuth request. RFC 6749 §3.1 and §3.2: "Parameters sent without a value MUST be treated as if
 * they were omitted from the request. […] Request and response parameters MUST NOT be included more than once."
 */
export interface Parameters {
  get(name: string): string | undefined;
  /** Of one that may be repeated: all, in their order. */
  all(name: string): readonly string[];
  readonly names: readonly string[];
}

/** Names and values in the order in which they came. */
export type Pairs = readonly (readonly [name: string, value: string])[];

/** @throws Refusal unsupported_media_type, body_too_large, invalid_request */
export async function readParameters(request: ArrivingBody): Promise<Parameters> {
  return parametersOf(await readPairs(request));
}

/** @throws Refusal unsupported_media_type, body_too_large, invalid_request */
export async function readPairs(request: ArrivingBody): Promise<Pairs> {
  const type = request.header("content-type");
  // A POST without a body has no type either, and an empty stream on some servers.
  if (type === undefined && (await readBytes(request)).length === 0) return [];
  if (!FORM_TYPE.test(type ?? "")) throw wrongType();
  // A small body may unpack to a huge one.
  if ((request.header("content-encoding") ?? "identity").toLowerCase() !== "identity") throw wrongType();
  return parsePairs(decodeUtf8(await readBytes(request)) ?? refuse("is not UTF-8"));
}

/** A query, or a body of that form. Stricter than URLSearchParams, which puts a replacement character for bad bytes. */
export function parsePairs(text: string): Pairs {
  if (text === "") return [];
  const pairs = text.split("&", limits.formFieldsMax + 1);
  if (pairs.length > limits.formFieldsMax) refuse("has too many parameters");
  return pairs.map((pair) => {
    const equals = pair.indexOf("=");
    return equals < 0
      ? [decoded(pair), ""]
      : [decoded(pair.slice(0, equals)), decoded(pair.slice(equals + 1))];
  });
}

/**
 * @param onRepeated told of a parameter that is repeated, of which the first value stays: for a caller that has
 *   somebody else to tell it to
 * @throws Refusal invalid_request for one that is repeated or too long
 */
export function parametersOf(
  pairs: Pairs,
  onRepeated: (name: string) => void = () => refuse("repeats a parameter"),
): Parameters {
  const values = new Map<string, string[]>();
  for (const [name, value] of pairs) {
    if (value === "" || name === "") continue;
    if (value.length > limits.parameterCharactersMax) refuse("has a parameter that is too long");
    const before = values.get(name);
    if (before === undefined) values.set(name, [value]);
    else if (REPEATABLE.has(name) && before.length < limits.resourcesPerRequestMax) before.push(value);
    else onRepeated(name);
  }
  return {
    get: (name) => values.get(name)?.[0],
    all: (name) => values.get(name) ?? [],
    names: [...values.keys()],
  };
}

const ENCODED = /[%+]/;

function decoded(text: string): string {
  // Names and tokens mostly stand as they are.
  if (!ENCODED.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return refuse("has bytes that are not UTF-8");
  }
}

function wrongType(): Refusal {
  return new Refusal("unsupported_media_type", {
    description: "Send a form: Content-Type: application/x-www-form-urlencoded.",
  });
}

function refuse(what: string): never {
  throw new Refusal("invalid_request", { description: `The request ${what}.` });
}
