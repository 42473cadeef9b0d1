import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type ParsedMail, simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";

/** A reply that a mail server refuses with, RFC 5321 §4.2. */
export interface Reply {
  readonly code: number;
  readonly text: string;
}

export interface MailServerOptions {
  readonly secure?: boolean;
  readonly startTls?: boolean;
  readonly certificate?: { readonly key: string; readonly cert: string };
  readonly login?: { readonly user: string; readonly password: string };
  /** What to answer RCPT with, for each time it comes. */
  readonly onRecipient?: (address: string) => Reply | undefined;
  readonly onSender?: () => Reply | undefined;
  /** What to answer the mail with; the socket, to be cut. */
  readonly onMail?: (mail: ParsedMail) => Reply | undefined | Promise<Reply | undefined>;
}

export interface Received {
  readonly mail: ParsedMail;
  readonly raw: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly isSecure: boolean;
  readonly user: string | undefined;
}

const refusal = (reply: Reply) => Object.assign(new Error(reply.text), { responseCode: reply.code });

export type MailServer = Awaited<ReturnType<typeof startMailServer>>;

/** A real mail server on a port of its own, which keeps what it has taken. */
export async function startMailServer(options: MailServerOptions = {}) {
  const { secure = false, startTls = false, certificate, login } = options;
  const received: Received[] = [];
  const server = new SMTPServer({
    logger: false,
    secure,
    ...certificate,
    authOptional: login === undefined,
    allowInsecureAuth: true,
    disabledCommands: [...(startTls ? [] : ["STARTTLS"]), ...(login === undefined ? ["AUTH"] : [])],
    closeTimeout: 100,
    onAuth({ username, password }, _session, done) {
      if (username === login?.user && password === login?.password) done(null, { user: username });
      else done(refusal({ code: 535, text: "no such user or password" }));
    },
    onMailFrom(_address, _session, done) {
      const reply = options.onSender?.();
      done(reply === undefined ? null : refusal(reply));
    },
    onRcptTo({ address }, _session, done) {
      const reply = options.onRecipient?.(address);
      done(reply === undefined ? null : refusal(reply));
    },
    async onData(stream, session, done) {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      const raw = Buffer.concat(chunks);
      const mail = await simpleParser(raw);
      const reply = await options.onMail?.(mail);
      if (reply !== undefined) return done(refusal(reply));
      const { mailFrom, rcptTo } = session.envelope;
      received.push({
        mail,
        raw: raw.toString("utf8"),
        from: mailFrom ? mailFrom.address : "",
        to: rcptTo.map(({ address }) => address),
        isSecure: session.secure,
        user: session.user,
      });
      done();
    },
  });
  // A client that hangs up in the middle is not this server's trouble.
  server.on("error", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  const { port } = server.server.address() as AddressInfo;
  const who = login === undefined ? "" : `${login.user}:${login.password}@`;
  return {
    port,
    received,
    url: `${secure ? "smtps" : "smtp"}://${who}127.0.0.1:${port}`,
    /** Cuts every connection where it is. */
    cut() {
      for (const { _socket } of server.connections as unknown as Set<{ _socket: Socket }>) _socket.destroy();
    },
    only(): Received {
      assert.equal(received.length, 1);
      return received[0] as Received;
    },
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** A server that takes connections and then does as it is told, line by line. */
export async function startOddServer(serve: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `smtp://127.0.0.1:${port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
