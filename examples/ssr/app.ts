/** Serves it on Node, with Keyturn inside: `npm run example ssr`, then http://localhost:4004. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { getRequestListener } from "@hono/node-server";
import { createKeyturn } from "keyturn";
import { createSite } from "./site.ts";

const { PORT = "4004", KEYTURN_DATA } = process.env;

// The address is part of every token, so the port comes before Keyturn: with PORT=0 the system chooses one.
const server = createServer();
server.listen(Number(PORT), "127.0.0.1");
await once(server, "listening");
const url = `http://localhost:${(server.address() as AddressInfo).port}`;

const keyturn = await createKeyturn({
  issuer: `${url}/auth`,
  data: KEYTURN_DATA ?? fileURLToPath(new URL("./data", import.meta.url)),
  logLevel: "warn",
});
server.on("request", getRequestListener(createSite(keyturn).fetch));
console.log(`The site listens on ${url}`);

async function stop() {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  // Browsers open connections in advance that never say a word.
  setTimeout(() => server.closeAllConnections(), 1000).unref();
  await closed;
  await keyturn.close();
}
process.once("SIGINT", () => void stop());
process.once("SIGTERM", () => void stop());
