import { connect, type Socket } from "node:net";

/*
 * One client's connection: HTTP/1.1 written and read by hand, one request at a time, so that a million of them cost
 * little. Whatever breaks is no error here: there is no reply, and the next request opens a connection anew.
 */

export interface Reply {
  readonly status: number;
  readonly body: string;
}

export interface Request {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  /** Header lines, each with its end. */
  readonly fields?: string;
  readonly body?: string;
}

export interface Connection {
  /** Undefined: no reply came, and nobody can know whether the request was done. */
  exchange(request: Request): Promise<Reply | undefined>;
  close(): void;
}

/** Longer than the wire holds what it lets go on. */
const replyMilliseconds = 5_000;
/** A connection does not live for ever, so that a node that came back gets its share again. */
const requestsMax = 200;

export function openConnection(port: () => number): Connection {
  let socket: Socket | undefined;
  let received = "";
  let requests = 0;
  let waiting: ((reply: Reply | undefined) => void) | undefined;

  function settle(reply: Reply | undefined): void {
    const resolve = waiting;
    waiting = undefined;
    resolve?.(reply);
  }

  function drop(): void {
    socket?.destroy();
    socket = undefined;
    settle(undefined);
  }

  function open(): Socket {
    received = "";
    requests = 0;
    const opened = connect({ port: port(), host: "127.0.0.1", noDelay: true });
    opened.setEncoding("latin1");
    const gone = () => {
      if (socket === opened) drop();
    };
    opened.on("error", gone).on("end", gone).on("close", gone);
    opened.on("data", (chunk) => {
      if (socket === opened) read(String(chunk));
    });
    return opened;
  }

  function read(chunk: string): void {
    received += chunk;
    const head = received.indexOf("\r\n\r\n");
    if (head < 0) return;
    const headers = received.slice(0, head);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(headers)?.[1] ?? 0);
    if (received.length < head + 4 + length) return;
    const reply = { status: Number(headers.slice(9, 12)), body: received.slice(head + 4, head + 4 + length) };
    received = received.slice(head + 4 + length);
    if (/\r\nconnection: close/i.test(headers) || requests >= requestsMax) {
      socket?.destroy();
      socket = undefined;
    }
    settle(reply);
  }

  return {
    exchange({ method, path, fields = "", body = "" }) {
      return new Promise((resolve) => {
        socket ??= open();
        requests++;
        const timer = setTimeout(drop, replyMilliseconds);
        waiting = (reply) => {
          clearTimeout(timer);
          resolve(reply);
        };
        const entity =
          body === ""
            ? ""
            : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
        socket.write(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}${entity}\r\n${body}`);
      });
    },
    close: drop,
  };
}
