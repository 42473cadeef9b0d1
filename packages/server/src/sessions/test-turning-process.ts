import { openDatabase } from "../storage/open.ts";
import { buildSessions } from "./test-turning.ts";

/*
 * A second server process for tests: `node test-turning-process.ts URL`. For every line of JSON on its input
 * ({ token, times }) it presents the token that many times at once and prints the outcomes as one line.
 */
const database = await openDatabase({ url: process.argv[2] ?? "" });
const { turning } = buildSessions(database);
process.stdout.write("ready\n");
let buffered = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", async (chunk: string) => {
  buffered += chunk;
  const lines = buffered.split("\n");
  buffered = lines.pop() ?? "";
  for (const line of lines) {
    const { token, times } = JSON.parse(line) as { token: string; times: number };
    const turns = Array.from({ length: times }, () => turning.turn({ token, clientId: "first-party" }));
    process.stdout.write(`${JSON.stringify(await Promise.all(turns))}\n`);
  }
});
process.stdin.on("end", () => void turning.drained().then(() => database.close()));
