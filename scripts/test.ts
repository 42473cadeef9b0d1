import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { type JobOptions, type JobResult, neverRan, runJob } from "./testing/job.ts";
import { type Engine, engines, type Job, planJobs } from "./testing/plan.ts";
import { startPostgres, type TestPostgres } from "./testing/postgres.ts";
import { failed, jobText, summaryText } from "./testing/report.ts";

const root = path.resolve(import.meta.dirname, "..");
const concurrency = 2;
/** What ends a file that hangs. Slow machines take five times what a quiet one does. */
const fileTimeoutSeconds = 300;
const budgetSeconds = 300;

const help = `npm test -- [part of a file name …] [--engine sqlite|postgres] [--name pattern] [--verbose]`;

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      engine: { type: "string", multiple: true, default: [...engines] },
      name: { type: "string" },
      verbose: { type: "boolean", default: false },
    },
  });
  const unknown = values.engine.find((name) => !engines.includes(name as Engine));
  if (unknown !== undefined) throw new Error(`--engine takes ${engines.join(" or ")}, not "${unknown}".`);
  return { ...values, engine: values.engine as Engine[], wanted: positionals };
}

const memoryBytesNeeded = 2 ** 30;

/** A folder in memory, where there is one with room; undefined elsewhere. */
function memoryFolder(): string | undefined {
  const folder = "/dev/shm";
  try {
    fs.accessSync(folder, fs.constants.W_OK);
    const { bavail, bsize } = fs.statfsSync(folder);
    return bavail * bsize >= memoryBytesNeeded ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** Two workers take jobs in order. PostgreSQL is started when the first job that needs it is planned. */
async function runJobs(
  jobs: readonly Job[],
  options: JobOptions,
  ended: (result: JobResult) => void,
): Promise<JobResult[]> {
  const given = process.env.KEYTURN_TEST_POSTGRES;
  const needed = given === undefined && jobs.some((job) => job.engine === "postgres");
  const starting: Promise<TestPostgres | undefined> = needed ? startPostgres() : Promise.resolve(undefined);
  starting.catch(() => undefined); // Whoever needs it awaits it, and then hears of the failure.
  const queue = [...jobs];
  const results: JobResult[] = [];
  const runOn = async (job: Job): Promise<JobResult> => {
    try {
      const url = (job.engine === "postgres" ? await starting : undefined)?.url ?? given;
      const environment = {
        ...options.environment,
        ...(url !== undefined && { KEYTURN_TEST_POSTGRES: url }),
      };
      return await runJob(job, { ...options, environment });
    } catch (error) {
      return neverRan(job, error);
    }
  };
  const work = async () => {
    for (let job = queue.shift(); job !== undefined && !options.stop.aborted; job = queue.shift()) {
      const result = await runOn(job);
      results.push(result);
      ended(result);
    }
  };
  try {
    await Promise.all(Array.from({ length: concurrency }, work));
  } finally {
    const server = await starting.catch(() => undefined);
    await server?.stop();
  }
  return results;
}

async function main(): Promise<number> {
  const { engine, wanted, name, verbose } = readArguments();
  const startedAt = performance.now();
  const jobs = planJobs(root, wanted, engine);
  if (jobs.length === 0) throw new Error(`no test file matches ${wanted.join(" ") || "the pattern"}.`);
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stopping.abort());
  const { KEYTURN_TEST_DATABASE: _, NODE_TEST_CONTEXT: __, ...environment } = process.env;
  const options: JobOptions = {
    root,
    environment,
    timeoutSeconds: fileTimeoutSeconds,
    memoryFolder: memoryFolder(),
    stop: stopping.signal,
    ...(name !== undefined && { titlePattern: name }),
  };
  const results = await runJobs(jobs, options, (result) => console.log(jobText(result, verbose)));
  const milliseconds = performance.now() - startedAt;
  if (milliseconds > budgetSeconds * 1000)
    console.log(`The suite took more than its ${budgetSeconds} s; see the slowest.`);
  console.log(summaryText(results, milliseconds));
  if (stopping.signal.aborted) return 130;
  return results.some(failed) ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`${error instanceof Error ? error.message : error}\nUsage: ${help}`);
  process.exitCode = 1;
}
