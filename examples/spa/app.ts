/**
 * The page with all that it needs in one process: `npm run example spa`, then http://localhost:4003. With
 * KEYTURN_ISSUER it uses a Keyturn that runs elsewhere.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { getRequestListener } from "@hono/node-server";
import { createGuard } from "@keyturn/guard";
import { createKeyturn } from "keyturn";
import { createSite } from "./site.ts";

const { PORT = "4003", KEYTURN_ISSUER: elsewhere, RESOURCE_ID: id, RESOURCE_SECRET: secret } = process.env;

// The address is part of every token, so the port comes before Keyturn: with PORT=0 the system chooses one.
const server = createServer();
server.listen(Number(PORT), "127.0.0.1");
await once(server, "listening");
const url = `http://localhost:${(server.address() as AddressInfo).port}`;

const { site, close } = elsewhere === undefined ? await embedded() : await beside(elsewhere);
server.on("request", getRequestListener(site.fetch));
console.log(`The page listens on ${url}`);

async function embedded() {
  const keyturn = await createKeyturn({
    issuer: `${url}/auth`,
    data: process.env.KEYTURN_DATA ?? fileURLToPath(new URL("./data", import.meta.url)),
    logLevel: "warn",
  });
  return { site: createSite({ guard: keyturn.guard, keyturn }), close: keyturn.close };
}

async function beside(issuer: string) {
  const resource = id && secret ? { id, secret } : undefined;
  const guard = createGuard({ issuer, audience: process.env.AUDIENCE ?? issuer, resource });
  await guard.ready();
  return { site: createSite({ guard, issuer }), close: async () => guard.close() };
}

async function stop() {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  // Browsers open connections in advance that never say a word.
  setTimeout(() => server.closeAllConnections(), 1000).unref();
  await closed;
  await close();
}
process.once("SIGINT", () => void stop());
process.once("SIGTERM", () => void stop());
