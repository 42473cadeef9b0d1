import { inspect } from "node:util";
import { type Counts, type JobResult, noCounts } from "./job.ts";
import type { Job } from "./plan.ts";

const slowestMax = 5;
const nameOf = (job: Job) => (job.engine ? `${job.file} (${job.engine})` : job.file);
const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`;
const indent = (text: string) => text.replaceAll(/^/gm, "    ");

export function failed(result: JobResult): boolean {
  return result.failures.length > 0 || result.counts.failed > 0 || result.counts.cancelled > 0;
}

/** The line for a file that has just ended; with `verbose` its tests too, and what it wrote when it failed. */
export function jobText(result: JobResult, verbose: boolean): string {
  const { counts, job } = result;
  const lines = [
    `${failed(result) ? "✖" : "✔"} ${nameOf(job)}  ${counts.tests} tests, ${seconds(result.milliseconds)}`,
  ];
  if (verbose) lines.push(...result.titles.map((title) => `  ${title}`));
  for (const { title } of result.failures) lines.push(`  ✖ ${title}`);
  if (verbose || failed(result)) lines.push(...result.output.map((line) => `  | ${line}`));
  return lines.join("\n");
}

/**
 * What ends the run: what was skipped and why, what failed and why, times; and last the closing lines of node's
 * own reporter, which tools know.
 */
export function summaryText(results: readonly JobResult[], milliseconds: number): string {
  const lines: string[] = [];
  for (const { job, skips } of results) {
    for (const { title, cause } of skips)
      lines.push(`﹣ skipped: ${title} [${nameOf(job)}] ${cause || "no reason given"}`);
  }
  for (const { job, failures } of results) {
    for (const { title, line, cause } of failures) {
      const text = typeof cause === "string" ? cause : inspect(cause, { depth: 4, breakLength: 110 });
      lines.push("", `✖ ${title}`, `  ${nameOf(job)}${line ? `, line ${line}` : ""}`, indent(text));
    }
  }
  lines.push("", ...timeLines(results));
  const total = noCounts();
  for (const { counts } of results) {
    for (const key of Object.keys(total) as (keyof Counts)[]) total[key] += counts[key];
  }
  lines.push("", `ℹ tests ${total.tests}`, `ℹ suites ${total.suites}`, `ℹ pass ${total.passed}`);
  lines.push(`ℹ fail ${total.failed}`, `ℹ cancelled ${total.cancelled}`, `ℹ skipped ${total.skipped}`);
  lines.push(`ℹ todo ${total.todo}`, `ℹ duration_ms ${milliseconds.toFixed(3)}`);
  return lines.join("\n");
}

function timeLines(results: readonly JobResult[]): string[] {
  const groups = Map.groupBy(results, ({ job }) => job.engine ?? "no database");
  const lines = [...groups].map(([name, group]) => {
    const tests = group.reduce((sum, { counts }) => sum + counts.tests, 0);
    const time = group.reduce((sum, result) => sum + result.milliseconds, 0);
    return `${name}: ${tests} tests in ${group.length} files, ${seconds(time)} of work`;
  });
  const slowest = results.toSorted((a, b) => b.milliseconds - a.milliseconds).slice(0, slowestMax);
  return [
    ...lines,
    "slowest:",
    ...slowest.map(({ job, milliseconds }) => `  ${seconds(milliseconds)}  ${nameOf(job)}`),
  ];
}
