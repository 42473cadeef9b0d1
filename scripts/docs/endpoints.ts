import { refusals } from "../../packages/server/src/errors.ts";
import type { Endpoint } from "../../packages/server/src/http/endpoint.ts";
import type { Page } from "../../packages/server/src/http/page.ts";
import { openApiDocument, refusalsOf } from "../../packages/server/src/openapi.ts";
import { limits } from "../../packages/server/src/primitives/limits.ts";
import { code, codes, pageHead, table } from "./markdown.ts";

/** The part of JSON Schema that zod makes of our bodies and replies. */
interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly format?: string;
  readonly description?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
}

interface Operation {
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
}

const callers = {
  public: "Anyone.",
  user: "A user: `Authorization: Bearer ACCESS_TOKEN`.",
  client:
    "A registered client: HTTP Basic or the form with its id and secret, an assertion by its key, or its id alone where it is public.",
  resource:
    "A registered API: HTTP Basic with its id and secret (`keyturn client add NAME --type resource`).",
} as const satisfies Record<Endpoint["access"], string>;

/** docs/endpoints.md: the rows of the URL map, those of the API and those of the pages. */
export function endpointsPage(endpoints: readonly Endpoint[], pages: readonly Page[]): string {
  const rows = endpoints.map((endpoint) => [
    `[${code(titleOf(endpoint))}](#${anchorOf(endpoint)})`,
    endpoint.summary,
  ]);
  return `${pageHead("HTTP endpoints", "the URL map of packages/server/src")}
Addresses are below the issuer: with the issuer \`https://example.com/auth\`, \`POST /login\` is \`https://example.com/auth/login\`. A running server describes itself in OpenAPI 3.1 at \`GET /openapi.json\`.

- Bodies are JSON in UTF-8 with \`Content-Type: application/json\`, at most ${limits.bodyBytesMax} bytes. A member that is repeated is refused; one that an endpoint does not know is ignored.
- Every answer is \`Cache-Control: no-store\` unless its section says otherwise.
- Every \`GET\` answers \`HEAD\` too. Another method on a known address is answered with 405 and an \`Allow\` header.
- Pages of other origins may read only what its section says; there is no setting for others.
- Errors are listed by code; [errors.md](errors.md) says what each means.

${table(["Endpoint", "What it does"], rows)}
${endpoints.map(section).join("\n")}
${pagesSection(pages)}`;
}

const visitors = {
  anyone: "Anyone.",
  person: "Who is signed in; others are sent to sign in.",
} as const satisfies Record<Page["access"], string>;

function pagesSection(pages: readonly Page[]): string {
  const rows = pages.map(({ method, path, summary, access, query, fields }) => {
    const takes = [
      ...Object.entries(query ?? {}).map(([name, { about }]) => `${code(`?${name}=`)} ${about}.`),
      ...Object.entries(fields ?? {}).map(([name, { about }]) => `${code(name)} ${about}.`),
    ];
    return [code(`${method} ${path}`), `${summary}.`, visitors[access], takes.join(" ")];
  });
  return `## Pages

What people see: HTML in UTF-8, without JavaScript, \`Cache-Control: no-store\`. They are not in the OpenAPI document, for no program is meant to call them; [pages.md](pages.md) says more. \`GET /\` gives the page to who asks for \`text/html\`. A form is \`application/x-www-form-urlencoded\`, at most ${limits.bodyBytesMax} bytes, and carries besides its fields the \`form_token\` that its page had. Errors are pages too.

${table(["Page", "What it does", "Who may come", "What it takes"], rows)}`;
}

const titleOf = ({ method, path }: Endpoint) => `${method} ${path}`;

/** As GitHub makes an anchor of a heading. */
const anchorOf = (endpoint: Endpoint) =>
  titleOf(endpoint)
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");

function section(endpoint: Endpoint): string {
  const parts = [
    `## ${titleOf(endpoint)}\n\n${endpoint.summary}. ${callers[endpoint.access]}\n`,
    ...requestParts(endpoint),
    answerPart(endpoint),
    refusedPart(endpoint),
  ];
  return parts.join("\n");
}

function requestParts(endpoint: Endpoint): string[] {
  const { bodyOptional, query, requestHeaders } = endpoint;
  const named = [
    ...Object.entries(query ?? {}).map(([name, { about }]) => [code(`?${name}=`), about]),
    ...Object.entries(requestHeaders ?? {}).map(([name, { about }]) => [code(name), about]),
  ];
  const parts = named.length === 0 ? [] : [table(["Parameter or header", "What it is"], named)];
  const body = jsonSchema(operationOf(endpoint).requestBody);
  if (body === undefined) return parts;
  const may = bodyOptional === true ? " It may be left out." : "";
  return [...parts, `The body:${may}\n\n${fieldTable(body, "Required")}`];
}

function answerPart(endpoint: Endpoint): string {
  const { success, cache, anyOrigin } = endpoint;
  const { status, about, type } = success;
  const schema = type === undefined ? jsonSchema(operationOf(endpoint).responses[status]) : undefined;
  const kind = type === undefined ? "" : ` (${code(type)})`;
  const kept = cache === undefined ? "" : ` ${code(`Cache-Control: ${cache}`)}.`;
  const origins = anyOrigin === true ? " Pages of any origin may read it." : "";
  const fields = schema === undefined ? "" : `\n${fieldTable(schema, "Always")}`;
  return `Answers **${status}**${kind}: ${about}.${kept}${origins}\n${fields}`;
}

function refusedPart(endpoint: Endpoint): string {
  const byStatus = new Map<number, string[]>();
  for (const name of refusalsOf(endpoint)) {
    const { status } = refusals[name];
    byStatus.set(status, [...(byStatus.get(status) ?? []), name]);
  }
  const statuses = [...byStatus].sort(([a], [b]) => a - b);
  return `Refuses with ${statuses.map(([status, names]) => `${status} ${codes(names)}`).join("; ")}.\n`;
}

/** The endpoint as the OpenAPI document has it: there its schemas are made into JSON Schema. */
function operationOf(endpoint: Endpoint): Operation {
  const { paths } = openApiDocument([endpoint], { issuer: "", version: "" });
  return Object.values(Object.values(paths)[0] ?? {})[0] as Operation;
}

const jsonSchema = (content: Content | undefined) => content?.content?.["application/json"]?.schema;

function fieldTable(schema: Schema, presence: "Required" | "Always"): string {
  return table(["Field", "Type", presence, "What it is"], fieldRows(schema, ""));
}

/** The members of an object, and of the objects in it: `user.id`, `sessions[].id`. */
function fieldRows(schema: Schema, prefix: string): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const isRequired = schema.required?.includes(name) === true;
    const own = [code(prefix + name), typeOf(field), isRequired ? "yes" : "no", field.description ?? ""];
    const inner = field.type === "array" ? field.items : field;
    const below = field.type === "array" ? `${prefix}${name}[].` : `${prefix}${name}.`;
    return [own, ...(inner === undefined ? [] : fieldRows(inner, below))];
  });
}

function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  if (schema.type === "array") return `array of ${schema.items === undefined ? "any" : typeOf(schema.items)}`;
  if (schema.format === "uuid") return "UUID";
  if (schema.format === "date-time") return "time, ISO 8601";
  if (schema.type !== "string") return schema.type ?? "any";
  if (schema.maxLength === undefined) return "string";
  const least = schema.minLength === undefined ? "" : `${schema.minLength} to `;
  return `string, ${least === "" ? "at most " : least}${schema.maxLength} characters`;
}
