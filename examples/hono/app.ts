/** Serves the fetch handler on Node. */
import { serve } from "@hono/node-server";
import { fetch, guard } from "./handler.ts";

await guard.ready();

const server = serve({ fetch, port: Number(process.env.PORT ?? 4002), hostname: "127.0.0.1" }, ({ port }) =>
  console.log(`The API listens on http://localhost:${port}`),
);

function stop() {
  guard.close();
  server.close();
}
process.once("SIGINT", stop);
process.once("SIGTERM", stop);
