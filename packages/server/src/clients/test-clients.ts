import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "../primitives/clock.ts";
import { endStatements } from "../sessions/end.ts";
import type { Database } from "../storage/database.ts";
import { createClientRecords } from "./client-records.ts";
import { createClients } from "./clients.ts";
import type { FetchDocument, Fetched } from "./sectors.ts";

/** The room of clients over a database, with the far side of the network in the test's hands. */
export function openTestClients(given: { database: Database; clock: Clock }) {
  let ended = 0;
  const documents = new Map<string, Fetched>();
  const asked: string[] = [];
  const fetchDocument: FetchDocument = async (url) => {
    asked.push(url);
    return documents.get(url) ?? { outcome: "outage" };
  };
  const records = createClientRecords({
    ...given,
    endStatements: (ending) => endStatements({ ...ending, reason: "client_removed" }),
    announceEnded: async () => void ended++,
    settings: { appIdleSeconds: 14 * 24 * 60 * 60 },
  });
  return {
    records,
    fetchDocument,
    clients: createClients({ records, fetchDocument }),
    /** What is at an address. */
    documents,
    /** Every address that was fetched. */
    asked,
    endings: () => ended,
  };
}

export const answered = (
  json: unknown,
  more: Partial<Extract<Fetched, { outcome: "answered" }>> = {},
): Fetched => ({
  outcome: "answered",
  status: 200,
  type: "application/json",
  text: JSON.stringify(json),
  freshSeconds: undefined,
  ...more,
});

/** A host on this machine that says what the test lets it say, and counts. */
export async function openTestHost() {
  let answer = (_request: IncomingMessage, response: ServerResponse): void =>
    void response.writeHead(404).end();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    answer(request, response);
  });
  let connections = 0;
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    url: `http://${host}`,
    asked,
    /** How often somebody connected, whether what followed was HTTP or not. */
    connections: () => connections,
    answers(by: typeof answer): void {
      answer = by;
    },
    json(value: unknown, headers: Record<string, string> = {}): void {
      answer = (_request, response) =>
        void response
          .writeHead(200, { "content-type": "application/json", ...headers })
          .end(typeof value === "string" ? value : JSON.stringify(value));
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
