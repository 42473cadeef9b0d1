import { connect, type Socket } from "node:net";

/*
 * The load: so many connections, each with one request in flight, HTTP/1.1 written and read by hand so that the
 * load costs little beside the server. Every reply is checked to be a new token.
 */

export interface LoadResult {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly requests: number;
  readonly failures: number;
}

export interface Target {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly seconds: number;
  /** The body of the next request of a connection, and what to do with its reply; false: not as it should be. */
  next(connection: number): {
    body: string;
    /** Header lines, each with its end. */
    fields?: string;
    check(status: number, body: string): boolean;
  };
  /** Default: POST. */
  readonly method?: "GET" | "POST";
  /** Of the body. Default: application/json. */
  readonly type?: string;
}

export const warmUpSeconds = 12;

/**
 * Before anything is measured. V8 compiles what runs often on threads of its own, for some ten seconds of full load, and
 * on one core that is taken from the server: a tenth of its time. A service runs for days; what is compared is how.
 */
export const warmUp = (target: Omit<Target, "seconds">): Promise<LoadResult> =>
  load({ ...target, seconds: warmUpSeconds });

export async function load(target: Target): Promise<LoadResult> {
  const times: number[] = [];
  let failures = 0;
  // First they all stand: what opening so many at once costs is not what is asked here.
  const open = await Promise.all(Array.from({ length: target.connections }, () => connected(target)));
  const started = performance.now();
  const until = started + target.seconds * 1000;
  await Promise.all(
    open.map(async (connection, index) => {
      while (performance.now() < until) {
        const request = target.next(index);
        const sent = performance.now();
        const reply = await connection.exchange(request.body, request.fields);
        times.push(performance.now() - sent);
        if (!request.check(reply.status, reply.body)) failures++;
      }
      connection.close();
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return {
    perSecond: times.length / seconds,
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
    requests: times.length,
    failures,
  };
}

/** One connection, for one request after the other. */
export async function connected({
  port,
  path,
  method = "POST",
  type = "application/json",
}: Pick<Target, "port" | "path" | "method" | "type">) {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const opening: Socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resolve(opening));
    opening.once("error", reject);
  });
  socket.setEncoding("latin1");
  let received = "";
  let waiting: ((reply: { status: number; body: string }) => void) | undefined;
  let failed: ((error: Error) => void) | undefined;
  socket.on("close", () => failed?.(new Error("the server closed the connection")));
  socket.on("data", (chunk: string) => {
    received += chunk;
    const reply = replyIn(received);
    if (reply === undefined) return;
    received = received.slice(reply.end);
    waiting?.(reply);
  });
  const start = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n`;
  const entity = (body: string) =>
    method === "GET" ? "" : `Content-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
  return {
    exchange(body: string, fields = "") {
      return new Promise<{ status: number; body: string }>((resolve, reject) => {
        waiting = resolve;
        failed = reject;
        socket.write(`${start}${fields}${entity(body)}\r\n${body}`);
      });
    },
    close: () => socket.destroy(),
  };
}

export interface Reply {
  readonly status: number;
  readonly body: string;
  /** Where the next reply begins. */
  readonly end: number;
}

/** The first reply in what was received; undefined while it is not whole. RFC 9112 §6: its length, or its chunks. */
export function replyIn(received: string): Reply | undefined {
  const head = received.indexOf("\r\n\r\n");
  if (head < 0) return undefined;
  const fields = received.slice(0, head);
  const status = Number(fields.slice(9, 12));
  const start = head + 4;
  if (/\r\ntransfer-encoding: chunked/i.test(fields)) return chunkedReply(received, { status, start });
  const end = start + Number(/\r\ncontent-length: (\d+)/i.exec(fields)?.[1] ?? 0);
  return received.length < end ? undefined : { status, body: received.slice(start, end), end };
}

function chunkedReply(received: string, { status, start }: { status: number; start: number }) {
  let body = "";
  for (let at = start; ; ) {
    const line = received.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const length = Number.parseInt(received.slice(at, line), 16);
    const end = line + 2 + length + 2;
    if (received.length < end) return undefined;
    if (length === 0) return { status, body, end };
    body += received.slice(line + 2, end - 2);
    at = end;
  }
}

/** The token endpoint's way to say it: RFC 6749 §6. Without a secret it is a public client. */
export interface TokenForm {
  readonly id: string;
  readonly secret?: string;
}

/** Refreshes: every connection walks over its share of the sessions, turning each in its turn. */
export function refreshing(tokens: string[], connections: number, form?: TokenForm): Target["next"] {
  const positions = Array.from({ length: connections }, (_, index) => index);
  const seen = new Set(tokens);
  const basic = form?.secret && Buffer.from(`${form.id}:${form.secret}`).toString("base64");
  const client = form && basic === undefined ? `&client_id=${form.id}` : "";
  const authorization = basic && `Authorization: Basic ${basic}\r\n`;
  return (connection) => {
    const at = positions[connection] ?? 0;
    positions[connection] = at + connections < tokens.length ? at + connections : connection;
    const token = tokens[at] ?? "";
    return {
      body:
        form === undefined
          ? `{"refreshToken":"${token}"}`
          : `grant_type=refresh_token&refresh_token=${encodeURIComponent(token)}${client}`,
      ...(authorization !== undefined && { fields: authorization }),
      check(status, body) {
        if (status !== 200) return false;
        const reply = JSON.parse(body);
        const refreshToken = reply.refreshToken ?? reply.refresh_token;
        const accessToken = reply.accessToken ?? reply.access_token;
        const isNew =
          typeof refreshToken === "string" && !seen.has(refreshToken) && accessToken.split(".").length === 3;
        seen.delete(token);
        seen.add(refreshToken);
        tokens[at] = refreshToken;
        return isNew;
      },
    };
  };
}
