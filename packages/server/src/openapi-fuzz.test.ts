import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import { assertCommon, type Call, type Reply, startTestServer } from "./test-server.ts";

/** Every operation of the document that the server serves: what is added there is tried here without a line more. */

interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}
interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
}
interface Described {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, unknown>>;
}
interface Operation extends Described {
  readonly method: string;
  readonly path: string;
}

const server = await startTestServer({ settings: { registration: "off", logLevel: "error" } });
after(server.close);
await server.addUser("alice");
const resource = await server.addResource("api");

const document = (await server.call("/openapi.json")).json as unknown as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
};
const operations: readonly Operation[] = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, described]) => ({
    ...described,
    path,
    method: method.toUpperCase(),
  })),
);

const seed = Number(process.env.KEYTURN_TEST_SEED ?? Date.now() % 2 ** 31);
console.log(`fuzz over the OpenAPI document: KEYTURN_TEST_SEED=${seed}`);
const answerMillisecondsMax = 1000;
const runsWithout = 20;
const runsWith = 11;

const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
const texts = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.constantFrom(
    "",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\u202e",
    "__proto__",
    "constructor",
    "' OR 1=1 --",
  ),
  fc.constantFrom("alice", "krt_AAAA", "a.b.c", "0192f7a4-5b3c-7d1e-8f00-2a4b6c8d0e1f", "a@b.example"),
  fc.constantFrom("x".repeat(5000), "é".repeat(4000), "a@".repeat(2000), `krt_${"A".repeat(4000)}`),
);
const anything = fc.oneof(
  texts,
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(null, true, [], {}, 0, -1, 1e308, Number.MAX_SAFE_INTEGER, 0.1),
);

/** What the schema asks for. */
function rightValue(schema: Schema): fc.Arbitrary<unknown> {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return fc.oneof(...choices.map(rightValue));
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  switch (typeof schema.type === "string" ? schema.type : schema.type?.[0]) {
    case "object":
      return fc.record(
        Object.fromEntries(
          Object.entries(schema.properties ?? {}).map(([name, one]) => [name, rightValue(one)]),
        ),
        { requiredKeys: [...(schema.required ?? [])] },
      );
    case "array":
      return fc.array(rightValue(schema.items ?? {}), { maxLength: 4 });
    case "boolean":
      return fc.boolean();
    case "integer":
    case "number":
      return fc.integer();
    case "string":
      return texts;
    default:
      return anything;
  }
}

/** As it should be, or with one member that is wrong, missing, or too much. */
function almostRight(schema: Schema): fc.Arbitrary<unknown> {
  const names = [...Object.keys(schema.properties ?? {}), "__proto__", "extra"];
  return fc
    .tuple(
      rightValue(schema),
      fc.constantFrom(...names),
      fc.constantFrom("keep", "wrong", "missing"),
      anything,
    )
    .map(([value, name, how, wrong]) => {
      if (how === "keep" || typeof value !== "object" || value === null) return value;
      const rest = Object.entries(value).filter(([key]) => key !== name);
      return Object.fromEntries(how === "wrong" ? [...rest, [name, wrong]] : rest);
    });
}

/** What no serializer writes. */
const brokenText = fc.constantFrom(
  ...["", "{", '{"a":', '"', "nul", "[]", "null", "1e999", '{"a":1,"a":2}', '{"a":"\\ud800"}', "\ufeff{}"],
  ...['{"__proto__":{"a":1}}', '{"username":"a","username":{}}', nested(7000), `{"a":${nested(3000)}}`],
  "x".repeat(20_000),
);
const brokenBytes = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Uint8Array.from(bytes)),
  fc.constant(Uint8Array.of(0x7b, 0x22, 0xff, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d)),
);

function bodyOf({ requestBody }: Operation): fc.Arbitrary<string | Uint8Array<ArrayBuffer> | undefined> {
  const [type, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  const broken = fc.oneof(brokenText, brokenBytes);
  if (content === undefined) return fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, broken);
  const isForm = type === "application/x-www-form-urlencoded";
  const right = almostRight(content.schema).map((value) =>
    isForm ? formText(value) : JSON.stringify(value),
  );
  const cut = right.map((text) => text?.slice(0, text.length >> 1));
  const twice = right.map((text) => (isForm ? `${text}&${text}` : `${text}${text}`));
  return fc.oneof({ weight: 5, arbitrary: right }, { weight: 1, arbitrary: cut }, twice, {
    weight: 2,
    arbitrary: broken,
  });
}

function formText(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  const encoded = (text: string) => encodeURIComponent(text.toWellFormed());
  return Object.entries(value)
    .map(
      ([name, one]) =>
        `${encoded(name)}=${encoded(typeof one === "string" ? one : (JSON.stringify(one) ?? ""))}`,
    )
    .join("&");
}

const wire = fc.oneof(
  texts.map((text) => encodeURIComponent(text.toWellFormed()).slice(0, 6000)),
  fc.constantFrom("%", "%00", "%ff", "%ED%A0%80", "%C0%AF", "%2e%2e%2f", "..", "+"),
);
const rarely = (...values: readonly string[]) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, fc.constantFrom(...values));
const headerText = fc.constantFrom("", "x", ", ,", "é", '"', "x".repeat(3000), "\t", "null", "-1");
const strangeHeaders = fc.record({
  "content-type": rarely(
    "text/plain",
    "application/json; charset=utf-7",
    "x",
    ";",
    "multipart/form-data; boundary=x",
  ),
  "content-encoding": rarely("gzip", "br", "identity"),
  cookie: rarely("keyturn=x", "keyturn=a; keyturn=b", "=;", `keyturn=${"A".repeat(4000)}`, "keyturn=%ff"),
  origin: rarely("null", "https://evil.example", "x"),
  "accept-language": rarely("de", `${"a,".repeat(1500)}`, ";q=", "*;q=1e9"),
  dpop: rarely("x", "a.b.c", ", ", "e30.e30.e30"),
  "idempotency-key": rarely("x", "x".repeat(3000), '"'),
  "user-agent": rarely("(".repeat(3000), "Mozilla/5.0 (", ";"),
});
const strangeAuthorization = rarely(
  ...["Basic", "Basic Og==", "Basic /////w==", "Bearer", "Bearer x", "Bearer e30.e30.e30", "DPoP x", ", ,"],
  ...["Digest x", `Bearer ${"A".repeat(6000)}`, `Basic ${"YQ".repeat(3000)}`],
);

type Body = string | Uint8Array<ArrayBuffer> | undefined;
interface Request {
  readonly path: string;
  readonly body: Body;
  readonly headers: Readonly<Record<string, string>>;
}

const requestOf = (operation: Operation): fc.Arbitrary<Request> => {
  const { parameters = [] } = operation;
  const named = (place: Parameter["in"]) =>
    parameters.filter((one) => one.in === place).map(({ name }) => name);
  const queryNames = fc.constantFrom(...named("query"), "extra");
  const own = Object.fromEntries(named("header").map((name) => [name.toLowerCase(), fc.option(headerText)]));
  const [type = "application/json"] = Object.keys(operation.requestBody?.content ?? {});
  return fc
    .record({
      places: fc.array(wire, { minLength: 4, maxLength: 4 }),
      query: fc.array(fc.tuple(queryNames, wire), { maxLength: 3 }),
      body: bodyOf(operation),
      headers: strangeHeaders,
      own: fc.record(own),
      authorization: strangeAuthorization,
    })
    .map(({ places, query, body, headers, own: ownHeaders, authorization }) => {
      let index = 0;
      const path = operation.path.replaceAll(/\{\w+\}/g, () => places[index++ % places.length] || "x");
      const question = query.map(([name, value]) => `${name}=${value}`).join("&");
      const given = Object.entries({ authorization, ...ownHeaders, ...headers });
      const present = given.filter((pair): pair is [string, string] => typeof pair[1] === "string");
      const contentType = body === undefined ? {} : { "content-type": type };
      return {
        path: question === "" ? path : `${path}?${question}`,
        body,
        // A stream without an end is no answer to measure.
        headers: { accept: "application/json", ...contentType, ...Object.fromEntries(present) },
      };
    });
};

const times = new Map<string, number[]>();

async function send(operation: Operation, request: Request, authorization?: string): Promise<Reply> {
  const { method } = operation;
  const body = method === "GET" || request.body === undefined ? {} : { body: request.body };
  const call: Call = {
    method,
    ...body,
    headers: { ...request.headers, ...(authorization !== undefined && { authorization }) },
    signal: AbortSignal.timeout(10_000),
  };
  const startedAt = performance.now();
  const reply = await server.callQuietly(request.path, call);
  const taken = performance.now() - startedAt;
  const name = `${method} ${operation.path}`;
  times.set(name, [...(times.get(name) ?? []), taken]);
  assertContract(reply, name);
  return reply;
}

/** DESIGN §6: an error has a code and a sentence, and nothing that strangers send is answered by a failure of ours. */
function assertContract(reply: Reply, name: string): void {
  const said = `${name}: ${reply.status} ${reply.text.slice(0, 200)}`;
  assert.ok(reply.status < 500 || (reply.status === 503 && reply.json.error === "busy"), said);
  // What Node itself refuses, before there is a request, has no body.
  if (reply.status === 431) return;
  assertCommon(reply);
  if (reply.status < 400) return;
  if (reply.headers.get("content-type")?.startsWith("text/html") === true) return;
  assert.match(String(reply.json.error), /^[a-z_]+$/, said);
  assert.equal(typeof reply.json.error_description, "string", said);
}

/** Each operation with its own number, so that a failure is found again by the seed alone. */
const forEachOperation = async (
  runs: number,
  one: (operation: Operation, request: Request) => Promise<void>,
) => {
  for (const [index, operation] of operations.entries()) {
    await server.forgetLimits();
    const property = fc.asyncProperty(requestOf(operation), (request) => one(operation, request));
    await fc.assert(property, { numRuns: runs, seed: seed + index, endOnFailure: true });
  }
};

test("the document has every endpoint that is served", () => {
  assert.equal(operations.length, server.app.endpoints.length);
});

test("no operation fails on what a stranger sends, and nothing that says who may do what is changed", async () => {
  const before = await server.rows();
  await forEachOperation(runsWithout, async (operation, request) => void (await send(operation, request)));
  assert.equal(await server.rows(), before);
});

test("no operation fails on what comes with good credentials, and sessions do not grow in number", async () => {
  let { accessToken } = await server.login("alice");
  const before = await server.countRows("sessions");
  let logins = 0;
  await forEachOperation(runsWith, async (operation, request) => {
    await send(operation, request, `Bearer ${accessToken}`);
    await send(operation, request, resource.authorization);
    // Some operations end the session, as they should: the next one needs a good one again.
    if ((await server.callQuietly("/me", { token: accessToken })).status === 200) return;
    await server.forgetLimits();
    ({ accessToken } = await server.login("alice"));
    logins++;
  });
  assert.equal(await server.countRows("sessions"), before + logins);
  assert.equal(await server.countRows("users"), 1);
});

test("every answer is there within a second", () => {
  for (const [name, taken] of times) {
    const slowest = Math.max(...taken);
    assert.ok(slowest < answerMillisecondsMax, `${name} took ${slowest.toFixed(0)} ms`);
  }
});
