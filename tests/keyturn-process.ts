import assert from "node:assert/strict";
import path from "node:path";
import { freePort, type ProcessOptions, type RunningProcess, root, type Stage } from "./stage.ts";

/** `keyturn serve` as a process of its own, and what clients and operators do with it. */

export const keyturnScript = path.join(root, "packages/server/src/cli/main.ts");

/** Cheap hashes: what is tested here is not how dear they are. */
const cheapHashes = { KEYTURN_PASSWORD_MEMORY_KIB: "7168", KEYTURN_PASSWORD_PASSES: "1" };
export const password = "correct horse battery";

export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly idToken: string;
  readonly sessionId: string;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: each test says what it expects of the body
  readonly json: any;
}

export interface Call {
  readonly method?: string;
  readonly token?: string;
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One request; a body that is not JSON is left out. */
export async function call(url: string, { method, token, json, headers }: Call = {}): Promise<Reply> {
  const response = await fetch(url, {
    method: method ?? (json === undefined ? "GET" : "POST"),
    headers: {
      ...(json !== undefined && { "content-type": "application/json" }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(json !== undefined && { body: JSON.stringify(json) }),
    signal: AbortSignal.timeout(15_000),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    json: text.startsWith("{") ? JSON.parse(text) : text,
  };
}

export interface ServerOptions {
  /** Settings by their environment variables. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: a SQLite file in a data folder of its own. */
  readonly database?: string | undefined;
  /** A second node on the rows and the secret of the first, under the same issuer. */
  readonly beside?: KeyturnServer;
}

export type KeyturnServer = Awaited<ReturnType<typeof startKeyturn>>;

/** Starts a server on a port of its own and waits until it listens. */
export async function startKeyturn(stage: Stage, options: ServerOptions = {}) {
  const { beside } = options;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const environment: Record<string, string> = {
    ...cheapHashes,
    KEYTURN_ISSUER: url,
    KEYTURN_DATA: stage.folder(),
    KEYTURN_LOG_LEVEL: "warn",
    ...(options.database && { KEYTURN_DATABASE: options.database }),
    ...beside?.environment,
    ...options.environment,
    PORT: String(port),
    HOST: "127.0.0.1",
  };
  let running = await launch(stage, environment);
  const { firstAdmin } = running.facts;

  /** No request whatever is answered by 500. */
  async function send(place: string, options?: Call): Promise<Reply> {
    const reply = await call(url + place, options);
    const { stdout, stderr } = running.process;
    if (reply.status === 500) assert.fail(`${place} answered 500; the log:\n${stdout()}${stderr()}`);
    return reply;
  }

  async function cli(args: readonly string[], more: ProcessOptions = {}) {
    const options = { environment, ...more };
    const { code, stdout, stderr } = await stage.run(keyturnScript, [...args, "--json"], options);
    assert.equal(code, 0, `keyturn ${args.join(" ")}: ${stdout}${stderr}`);
    return JSON.parse(stdout);
  }

  return {
    url,
    port,
    issuer: environment.KEYTURN_ISSUER ?? url,
    environment,
    /** Made at the very first start on a database. */
    firstAdmin,
    pid: () => running.process.pid,
    /** Resolves when it has ended by itself. */
    ended: () => running.process.ended,
    /** As a crash or a power cut would. */
    kill: () => running.process.kill(),
    stop: () => running.process.stop(),
    /** On the same port, with the same settings. */
    async restart(): Promise<void> {
      running = await launch(stage, environment);
    },

    call: send,

    async register(username: string): Promise<void> {
      const reply = await send("/register", { json: { username, password } });
      assert.equal(reply.status, 201, JSON.stringify(reply.json));
    },

    async login(username: string, device = "a test", secret = password): Promise<Tokens> {
      const reply = await send("/login", { json: { username, password: secret, device } });
      assert.equal(reply.status, 200, JSON.stringify(reply.json));
      return reply.json;
    },

    refresh: (refreshToken: string, attemptKey?: string) =>
      send("/refresh", {
        json: { refreshToken },
        headers: attemptKey === undefined ? {} : { "idempotency-key": attemptKey },
      }),

    /** `keyturn …` in a process of its own beside the server; its answer as JSON. */
    cli,

    /** The credentials of an API, as its environment has them. */
    async addResource(id: string): Promise<{ RESOURCE_ID: string; RESOURCE_SECRET: string }> {
      const { secret } = await cli(["client", "add", id, "--id", id, "--type", "resource"]);
      return { RESOURCE_ID: id, RESOURCE_SECRET: secret };
    },
  };
}

interface Facts {
  readonly port: number;
  readonly firstAdmin?: { readonly username: string; readonly password: string };
}

async function launch(
  stage: Stage,
  environment: Readonly<Record<string, string>>,
): Promise<{ process: RunningProcess; facts: Facts }> {
  const process = stage.start(keyturnScript, ["serve", "--json"], { environment });
  const [text] = await process.says(/^\{[\s\S]*?^\}$/m);
  return { process, facts: JSON.parse(text) };
}

/** One of the examples, beside a server, listening on a port that the system chose. */
export async function startExample(
  stage: Stage,
  file: string,
  environment: Readonly<Record<string, string>>,
): Promise<{ url: string; process: RunningProcess }> {
  const process = stage.start(path.join(root, "examples", file), [], {
    environment: { PORT: "0", ...environment },
  });
  const [, port] = await process.says(/listens on http:\/\/[\w.]+:(\d+)/);
  return { url: `http://127.0.0.1:${port}`, process };
}
