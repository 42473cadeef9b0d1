import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { App } from "./app.ts";
import { WrongSetting } from "./config.ts";
import { type FetchHandler, fetchHandler } from "./fetch-handler.ts";
import { limits } from "./primitives/limits.ts";

/** A fetch handler for node:http and for Express. */
export function nodeHandler(
  fetch: FetchHandler,
): (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void> {
  // Only the address is handed on: the rest of the environment is of no use to the endpoints.
  return getRequestListener((request, env) => fetch(request, env as { incoming: IncomingMessage }), {
    overrideGlobalObjects: false,
  });
}

export interface RunningServer {
  readonly port: number;
  readonly host: string;
  /**
   * Takes no more connections, lets requests under way end (for at most `drainSeconds`), then closes the app.
   * Idempotent.
   */
  stop(drainSeconds?: number): Promise<void>;
}

/**
 * Listens on the host and port of the settings.
 * @throws WrongSetting when the address cannot be listened on, with one line that names the setting
 */
export async function listen(app: App): Promise<RunningServer> {
  const { settings } = app;
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      requestTimeout: 30_000,
      headersTimeout: 15_000,
      keepAliveTimeout: 65_000,
    },
    nodeHandler(fetchHandler(app)),
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenProblem(error, settings)));
    server.listen(settings.port, settings.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  let stopping: Promise<void> | undefined;
  return {
    port,
    host: settings.host,
    stop: (drainSeconds = 10) => (stopping ??= stop({ server, app, drainSeconds })),
  };
}

async function stop({
  server,
  app,
  drainSeconds,
}: {
  server: Server;
  app: App;
  drainSeconds: number;
}): Promise<void> {
  app.stopping();
  // Streams never end by themselves.
  app.revocations.stop();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), drainSeconds * 1000);
  await closed;
  clearTimeout(timer);
  await app.close();
}

function listenProblem(error: NodeJS.ErrnoException, settings: { port: number; host: string }): Error {
  switch (error.code) {
    case "EADDRINUSE":
      return new WrongSetting(
        `PORT is ${settings.port}, which another program listens on; it takes a free port, or 0.`,
      );
    case "EACCES":
      return new WrongSetting(
        `PORT is ${settings.port}, which this user may not listen on; it takes one above 1023.`,
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new WrongSetting(
        `HOST is ${settings.host}, which is no address of this machine; it takes one, or 0.0.0.0.`,
      );
    default:
      return error;
  }
}
