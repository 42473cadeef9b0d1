import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { raw } from "sql-template-tag";
import { type App, createApp } from "./app.ts";
import type { SettingsInput } from "./config-schema.ts";
import type { Hooks } from "./hooks.ts";
import { createLog } from "./observability/log.ts";
import type { Clock } from "./primitives/clock.ts";
import { sha256 } from "./primitives/digest.ts";
import { bind, listen } from "./server.ts";
import type { Value } from "./storage/database.ts";
import { openTestDatabase, type TestDatabase } from "./storage/test-database.ts";
import { assertNoSecretIn } from "./test-secrets.ts";
import type { NewUser } from "./users/adding.ts";

/** A whole server on a port of its own, over a database of its own, for tests of what leaves by HTTP. */

const PASSWORD = "correct horse battery";
const operator = { actor: "operator" } as const;

/** Tables whose rows say who may do what. What is refused must leave them as they were. */
const tables = {
  users: "id, username, email, email_verified_at, name, disabled_at",
  credentials: "id, secret",
  user_roles: "user_id, role, resource",
  role_permissions: "role, permission, resource",
  clients: "id, secret_digest",
  providers: "id, client_id, disabled_at",
  identities: "id, issuer, subject, user_id",
  mail_codes: "link_digest, purpose, user_id",
  sessions: "id, generation, digest, last_used_at, revoked_at, end_reason",
  // Entries whose time is over are deleted by a job; the position moves only when one is added.
  revocation_position: "seq",
};

export interface Call {
  readonly method?: string;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is; give a content type in `headers`. */
  readonly body?: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
  /** For `Authorization: Bearer`. */
  readonly token?: string | undefined;
  readonly signal?: AbortSignal;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body when it is JSON, otherwise empty. */
  readonly json: Readonly<Record<string, unknown>>;
}

export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly idToken: string;
  readonly tokenType: string;
  readonly expiresIn: number;
  readonly refreshExpiresIn: number;
  readonly sessionId: string;
  readonly user: { readonly id: string; readonly username: string } & Readonly<Record<string, unknown>>;
}

export interface TestServerOptions {
  readonly settings?: SettingsInput;
  /** Takes the place of the database's clock. */
  readonly clock?: Clock;
  readonly hooks?: Hooks;
  /** The host of the issuer. Default: 127.0.0.1; passkeys are of a name, so those need localhost. */
  readonly hostname?: string;
  /** Mails wait in the outbox, for a test that takes them out. */
  readonly holdsMail?: boolean;
  /** A second node on the rows and the secret of the first one. */
  readonly beside?: Pick<Place, "place" | "data" | "issuer" | "secrets">;
}

interface Place {
  readonly place: Pick<TestDatabase, "database" | "url" | "close">;
  readonly data: string;
  readonly issuer: string;
  readonly secrets: Set<string>;
}

export type TestServer = Awaited<ReturnType<typeof startTestServer>>;

/** What Node and its libraries print past the log; a test run has one console. */
const printed: string[] = [];
for (const method of ["log", "info", "warn", "error"] as const) {
  const original = console[method].bind(console);
  console[method] = (...parts: unknown[]) => {
    printed.push(parts.map(String).join(" "));
    original(...parts);
  };
}

/** A clock that stands still until the test moves it. */
export function stoppedClock(start = 1_800_000_000_000) {
  let now = start;
  return {
    now: () => now,
    /** Seconds. */
    pass(seconds: number): void {
      now += seconds * 1000;
    },
  };
}

export async function startTestServer(options: TestServerOptions = {}) {
  const { clock, beside } = options;
  const place: Place["place"] = beside?.place ?? (await openTestDatabase(clock && { clock }));
  const data = beside?.data ?? mkdtempSync(join(tmpdir(), "keyturn-test-data-"));
  const bound = await bind({ port: 0, host: "127.0.0.1" });
  const { port } = bound;
  const lines: string[] = [];
  const mails: string[] = [];
  const settings = {
    issuer: beside?.issuer ?? `http://${options.hostname ?? "127.0.0.1"}:${port}`,
    port,
    data,
    database: place.url,
    passwordMemoryKib: 7168,
    passwordPasses: 1,
    passwordHashesConcurrentMax: 2,
    logLevel: "debug",
    ...options.settings,
  } satisfies SettingsInput;
  const log = createLog(
    { logLevel: settings.logLevel ?? "debug" },
    { write: (line: string) => void lines.push(line) },
  );
  const app = await createApp(settings, {
    log,
    clock,
    hooks: options.hooks,
    print: (text) => void mails.push(text),
    holdsMail: options.holdsMail,
  });
  const running = await listen(app, bound);
  const url = `http://127.0.0.1:${port}`;
  const secrets = beside?.secrets ?? new Set<string>();
  const { call, callQuietly } = createCalls(url, secrets);
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    await running.stop(1);
    if (beside === undefined) {
      await place.close();
      rmSync(data, { recursive: true, force: true });
    }
    assertNoSecretIn([...lines, ...printed].join("\n"), secrets);
  }

  return {
    app,
    url,
    port,
    issuer: app.settings.issuer,
    data,
    place,
    /** The test's own connection to the server's rows. */
    database: place.database,
    /** Lines of the log. */
    lines,
    /** Mails as development prints them. */
    mails,
    /** Everything that the log must never show. */
    secrets,
    call,
    callQuietly,
    stop: running.stop,
    ...createActs(app, call, secrets),
    /** Every limit starts anew: for tests that come from one address and are not about limits. */
    forgetLimits: () => place.database.batch([raw("DELETE FROM rate_limits")]),
    countRows: async (table: string): Promise<number> =>
      Number((await place.database.one<{ n: number }>(raw(`SELECT count(*) AS n FROM ${table}`)))?.n),
    /** All rows that say who may do what, as one text: the same before and after what is refused. */
    rows: () => rowsOf(place),
    /** Stops the server, removes its database, and looks for secrets in its log. */
    close: () => (closing ??= close()),
  };
}

function createActs(app: App, call: (path: string, options?: Call) => Promise<Reply>, secrets: Set<string>) {
  return {
    /** A user of the name with the password of all test users, unless given. */
    async addUser(username: string, more: Partial<NewUser> = {}) {
      const { password = PASSWORD } = more;
      secrets.add(password);
      if (more.email !== undefined) secrets.add(more.email);
      const secret = more.passwordHash === undefined ? { password } : {};
      const added = await app.users.add({ username, ...secret, ...more }, operator);
      assert.ok(added.outcome === "added", `a test could not add its user: ${added.outcome}`);
      return added.user;
    },

    /** Signs in with the password of all test users, unless given. */
    async login(username: string, more: { password?: string; device?: string } = {}): Promise<Tokens> {
      const reply = await call("/login", { json: { username, password: PASSWORD, ...more } });
      assert.equal(reply.status, 200, reply.text);
      return reply.json as unknown as Tokens;
    },

    /** A resource, with the header that authenticates it. */
    async addResource(name: string) {
      const added = await app.clients.add({ name, type: "resource" }, operator);
      assert.ok(added.outcome === "added" && added.secret !== undefined);
      const { client, secret } = added;
      secrets.add(secret);
      return { id: client.id, secret, authorization: basic(client.id, secret) };
    },
  };
}

export function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`;
}

function createCalls(url: string, secrets: Set<string>) {
  /** A request, with no opinion on the answer. */
  async function callQuietly(path: string, options: Call = {}): Promise<Reply> {
    const { json, token, signal } = options;
    const body = json === undefined ? options.body : JSON.stringify(json);
    noteSecrets(json, secrets);
    if (typeof body === "string") noteForm(body, secrets);
    const response = await fetch(new URL(url + path), {
      method: options.method ?? (body === undefined ? "GET" : "POST"),
      headers: {
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...options.headers,
      },
      redirect: "manual",
      ...(body === undefined ? {} : { body, duplex: "half" }),
      ...(signal && { signal }),
    } as RequestInit);
    const text = await response.text();
    const reply = { status: response.status, headers: response.headers, text, json: parsed(text) };
    noteSecrets(reply.json, secrets);
    noteHeaders(reply.headers, secrets);
    return reply;
  }

  return {
    callQuietly,
    /** A request; what must be true of every answer is asserted. */
    async call(path: string, options: Call = {}): Promise<Reply> {
      const reply = await callQuietly(path, options);
      assertCommon(reply);
      return reply;
    },
  };
}

/** Members and parameters, of ours and of OAuth's, whose value the log must not show. */
const SECRET_MEMBERS = new Set(
  `accessToken refreshToken idToken password currentPassword newPassword email ticket secret code recoveryCode
  access_token refresh_token id_token client_secret client_assertion registration_access_token code_verifier
  device_code user_code request_uri subject_token actor_token token form_token`.split(/\s+/),
);

function noteSecret(name: string, value: unknown, secrets: Set<string>): void {
  // Shorter ones would be found by chance; names of errors are words.
  if (!SECRET_MEMBERS.has(name) || typeof value !== "string" || value.length < 8) return;
  if (!/^[a-z_]+$/.test(value)) secrets.add(value);
}

function noteSecrets(value: unknown, secrets: Set<string>): void {
  if (typeof value !== "object" || value === null) return;
  for (const [name, secret] of Object.entries(value)) noteSecret(name, secret, secrets);
}

function noteForm(body: string, secrets: Set<string>): void {
  if (!/^\w+=/.test(body)) return;
  for (const [name, value] of new URLSearchParams(body)) noteSecret(name, value, secrets);
}

/** A code on its way to a client, and cookies. */
function noteHeaders(headers: Headers, secrets: Set<string>): void {
  const query = headers.get("location")?.split("?")[1];
  if (query !== undefined) noteForm(query, secrets);
  for (const cookie of headers.getSetCookie()) {
    const value = /^[^=]+=([^;]{16,})/.exec(cookie)?.[1];
    if (value !== undefined) secrets.add(value);
  }
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** OWASP ASVS 5.0 V3.4 and DESIGN §9: what every answer carries, and what none does. */
export function assertCommon({ status, headers, text }: Reply): void {
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  // Pages say same-origin, for their forms; nothing says more to other origins.
  assert.match(headers.get("referrer-policy") ?? "", /^(no-referrer|same-origin)$/);
  assert.match(headers.get("content-security-policy") ?? "", /frame-ancestors 'none'/);
  assert.equal(headers.get("x-powered-by"), null);
  assert.equal(headers.get("server"), null);
  assert.ok(headers.has("cache-control"), "every answer says whether it may be cached");
  if (/"(access|refresh|id)Token":"/.test(text) || status >= 400) {
    assert.equal(headers.get("cache-control"), "no-store");
  }
}

/** A refusal of the catalogue, in its exact shape. */
export function assertRefusal(
  reply: Reply,
  expected: { status: number; error?: string; reason?: string },
): void {
  const { error, reason } = reply.json;
  assert.equal(reply.status, expected.status, reply.text.slice(0, 300));
  if (expected.error !== undefined) assert.equal(error, expected.error);
  assert.match(String(error), /^[a-z_]+$/);
  assert.equal(reason, expected.reason);
  assert.equal(typeof reply.json.error_description, "string");
  assert.equal(reply.headers.get("content-type"), "application/json");
  const known = ["error", "error_description", "reason"];
  assert.deepEqual(
    Object.keys(reply.json).filter((name) => !known.includes(name)),
    [],
  );
  assert.doesNotMatch(reply.text, /\bat .*\.(ts|js|mjs):\d|node:internal|node_modules/);
}

async function rowsOf({ database }: Pick<TestDatabase, "database">): Promise<string> {
  const names = Object.entries(tables);
  const found = await database.each(
    names.map(([table, columns]) => raw(`SELECT ${columns} FROM ${table} ORDER BY ${columns}`)),
  );
  const shown = found.map((rows, index) => {
    const digest = sha256(rows.map((row) => Object.values(row).map(textOf).join()).join("\n"));
    return `${names[index]?.[0]}: ${rows.length} rows ${digest.toString("hex", 0, 8)}`;
  });
  return shown.join(", ");
}

const textOf = (value: Value) =>
  value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value);

/**
 * Sends bytes as they are and gives back all that comes until the server closes the connection (or, for one that
 * it keeps open, until a whole answer with a Content-Length is there).
 */
export function exchange(port: number, request: string | readonly (string | Uint8Array)[]): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const chunks: Buffer[] = [];
  const socket: Socket = connect(port, "127.0.0.1");
  socket.setTimeout(5000, () => {
    socket.destroy();
    reject(new Error(`no answer in 5 s; so far: ${Buffer.concat(chunks).toString("latin1").slice(0, 200)}`));
  });
  const done = () => {
    const reply = replyFrom(Buffer.concat(chunks).toString("utf8"));
    socket.destroy();
    resolve(reply);
  };
  socket.on("data", (chunk) => {
    chunks.push(chunk);
    const text = Buffer.concat(chunks).toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    const length = /^content-length: (\d+)/im.exec(text.slice(0, end))?.[1];
    if (end > 0 && !text.startsWith("HTTP/1.1 100") && length !== undefined) {
      if (text.length >= end + 4 + Number(length)) done();
    }
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    // A server that has answered may reset what it did not want to read.
    if (chunks.length > 0) done();
    else reject(error);
  });
  socket.on("close", done);
  for (const part of typeof request === "string" ? [request] : request) socket.write(part);
  return promise;
}

function replyFrom(message: string): Reply {
  // An interim answer (RFC 9110 §15.2) comes before the one that counts.
  const text = message.replace(/^HTTP\/1\.1 1\d\d [^\r]*\r\n\r\n/, "");
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...fields] = text.slice(0, Math.max(0, end)).split("\r\n");
  const headers = new Headers();
  for (const field of fields) {
    const colon = field.indexOf(":");
    headers.append(field.slice(0, colon), field.slice(colon + 1).trim());
  }
  const body = text.slice(end + 4);
  return { status: Number(first.split(" ")[1] ?? 0), headers, text: body, json: parsed(body) };
}
