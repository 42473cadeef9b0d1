import path from "node:path";
import { run } from "node:test";
import { secretIn } from "../../packages/server/src/test-secrets.ts";
import type { Job } from "./plan.ts";

/** One test that did not pass, or that was not run. */
export interface Notice {
  readonly title: string;
  readonly line?: number;
  /** The error of a failed test; the reason of a skipped one, "" when none was given. */
  readonly cause: unknown;
}

export interface Counts {
  tests: number;
  suites: number;
  passed: number;
  failed: number;
  cancelled: number;
  skipped: number;
  todo: number;
}

export interface JobResult {
  readonly job: Job;
  readonly counts: Counts;
  readonly milliseconds: number;
  readonly titles: readonly string[];
  readonly failures: readonly Notice[];
  readonly skips: readonly Notice[];
  /** The last lines that the file wrote. */
  readonly output: readonly string[];
}

export interface JobOptions {
  readonly root: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly timeoutSeconds: number;
  /** A folder in memory for the databases of tests. */
  readonly memoryFolder?: string | undefined;
  readonly stop: AbortSignal;
  readonly titlePattern?: string;
}

const outputLinesMax = 300;
const fileTitle = "the file itself";
const noTest = "it holds no test";

/** Runs one test file in a process of its own; a file that passes its time is killed and has failed. */
export async function runJob(job: Job, options: JobOptions): Promise<JobResult> {
  const startedAt = performance.now();
  const file = path.join(options.root, job.file);
  const events = run({
    files: [file],
    cwd: options.root,
    env: {
      // Two hundred processes compile the same files: each keeps what the next would do again.
      NODE_COMPILE_CACHE: path.join(options.root, "node_modules", ".cache", "compiled"),
      ...options.environment,
      KEYTURN_TEST_DATABASE: job.engine ?? "sqlite",
      // Every commit is flushed there too; only that nobody waits for a disk.
      ...(job.engine === "sqlite" && options.memoryFolder !== undefined && { TMPDIR: options.memoryFolder }),
    },
    execArgv: ["--conditions=keyturn-source", "--disable-warning=ExperimentalWarning"],
    signal: AbortSignal.any([options.stop, AbortSignal.timeout(options.timeoutSeconds * 1000)]),
    ...(options.titlePattern !== undefined && { testNamePatterns: options.titlePattern }),
  });
  const counts = noCounts();
  const [titles, failures, skips, output] = [[] as string[], [] as Notice[], [] as Notice[], [] as string[]];
  /** Servers of a test write to this file's own streams, unless the test keeps their log and looks into it itself. */
  const leaks = new Set<string>();
  /** What went wrong when the test that had begun it was over: node says so beside the tests, and fails the file. */
  const late: string[] = [];
  for await (const { type, data } of events) {
    if (type === "test:summary" && data.file === undefined) Object.assign(counts, data.counts);
    else if (type === "test:stdout" || type === "test:stderr") {
      output.push(data.message.trimEnd());
      const shown = secretIn(data.message);
      if (shown !== undefined) leaks.add(shown);
      if (output.length > outputLinesMax) output.shift();
    } else if (type === "test:diagnostic") {
      if (/ after the test ended/.test(data.message)) late.push(data.message);
    } else if (type === "test:pass" || type === "test:fail") {
      const note = {
        title: data.name === file ? fileTitle : data.name,
        ...(data.line && { line: data.line }),
      };
      if (type === "test:pass") titles.push(`${"  ".repeat(data.nesting)}✔ ${note.title}`);
      else if (data.todo === undefined && !isOnlyParent(data.details.error))
        failures.push({ ...note, cause: reason(data.details.error, options, late) });
      if (data.skip !== undefined) skips.push({ ...note, cause: data.skip === true ? "" : data.skip });
      if (data.todo !== undefined)
        skips.push({ ...note, cause: `to do: ${data.todo === true ? "" : data.todo}` });
      if (type === "test:pass" && data.name === file && options.titlePattern === undefined) {
        failures.push({ title: note.title, cause: noTest });
      }
    }
  }
  if (leaks.size > 0) {
    counts.failed += 1;
    failures.push({ title: "no log shows a secret", cause: [...leaks].slice(0, 5).join("\n") });
  }
  countFileFailures(counts, failures);
  return { job, counts, milliseconds: performance.now() - startedAt, titles, failures, skips, output };
}

/** The result of a file that could not be started, which is a failure too. */
export function neverRan(job: Job, cause: unknown): JobResult {
  const counts = { ...noCounts(), tests: 1, failed: 1 };
  const failures = [{ title: fileTitle, cause }];
  return { job, counts, milliseconds: 0, titles: [], failures, skips: [], output: [] };
}

export function noCounts(): Counts {
  return { tests: 0, suites: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 };
}

/** A suite fails because a test in it failed; that one tells why. */
function isOnlyParent(error: unknown): boolean {
  return (error as { failureType?: string }).failureType === "subtestsFailed";
}

function reason(error: Error, options: JobOptions, late: readonly string[]): unknown {
  const { failureType, cause, exitCode, signal } = error as {
    failureType?: string;
    cause?: unknown;
    exitCode?: number | null;
    signal?: string | null;
  };
  if (failureType !== "testAborted") {
    if (exitCode === undefined) return cause ?? error;
    // A process, not a test.
    return [`its process ended with ${signal ?? `exit code ${exitCode}`}`, ...late].join("\n");
  }
  if (options.stop.aborted) return "interrupted";
  return `killed: it took more than ${options.timeoutSeconds} s, or its process did not end after its tests`;
}

/** node:test counts a killed file as cancelled, and one without tests as passed; both are failures to us. */
function countFileFailures(counts: Counts, failures: readonly Notice[]): void {
  const own = failures.filter((failure) => failure.title === fileTitle);
  for (const { cause } of own) {
    if (typeof cause !== "string") continue;
    if (cause === noTest) counts.passed -= 1;
    else if (counts.cancelled > 0) counts.cancelled -= 1;
    else continue;
    counts.failed += 1;
  }
}
