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

export async function load(target: Target): Promise<LoadResult> {
  const times: number[] = [];
  let failures = 0;
  const started = performance.now();
  const until = started + target.seconds * 1000;
  await Promise.all(
    Array.from({ length: target.connections }, async (_, index) => {
      const connection = await open(target);
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

async function open({ port, path, method = "POST", type = "application/json" }: Target) {
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
    const head = received.indexOf("\r\n\r\n");
    if (head < 0) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(received.slice(0, head))?.[1] ?? 0);
    if (received.length < head + 4 + length) return;
    const reply = {
      status: Number(received.slice(9, 12)),
      body: received.slice(head + 4, head + 4 + length),
    };
    received = received.slice(head + 4 + length);
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

/** The token endpoint's way to say it: RFC 6749 §6. */
export interface TokenForm {
  readonly id: string;
  readonly secret: string;
}

/** Refreshes: every connection walks over its share of the sessions, turning each in its turn. */
export function refreshing(tokens: string[], connections: number, form?: TokenForm): Target["next"] {
  const positions = Array.from({ length: connections }, (_, index) => index);
  const seen = new Set(tokens);
  const basic = form && Buffer.from(`${form.id}:${form.secret}`).toString("base64");
  const authorization = basic && `Authorization: Basic ${basic}\r\n`;
  return (connection) => {
    const at = positions[connection] ?? 0;
    positions[connection] = at + connections < tokens.length ? at + connections : connection;
    const token = tokens[at] ?? "";
    return {
      body:
        form === undefined
          ? `{"refreshToken":"${token}"}`
          : `grant_type=refresh_token&refresh_token=${encodeURIComponent(token)}`,
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
