import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { faultsScenarios, faultsUsage } from "./faults.ts";
import type { Finding } from "./figures.ts";
import { benchLimits } from "./limits.ts";
import { benchOauthRefresh } from "./oauth-refresh.ts";
import { barChart, chartsOf } from "./plots.ts";
import { benchPostgres } from "./postgres.ts";
import { canPin } from "./processes.ts";
import { benchProfile } from "./profile.ts";
import { benchRefresh, benchRefreshMany } from "./refresh.ts";
import { benchRevocation } from "./revocation.ts";
import { benchSession } from "./session.ts";
import { benchSignIn } from "./sign-in.ts";
import { benchSizes } from "./sizes.ts";
import { benchStart } from "./start.ts";
import { benchVerify } from "./verify.ts";

/*
 * `npm run bench` runs every scenario and writes bench/results; `npm run bench -- refresh start` runs some. The
 * load runs here, on the second core; servers run on the first.
 */
const scenarios = {
  refresh: benchRefresh,
  "refresh-many": benchRefreshMany,
  "oauth-refresh": benchOauthRefresh,
  verify: benchVerify,
  "sign-in": benchSignIn,
  session: benchSession,
  revocation: benchRevocation,
  start: benchStart,
  sizes: benchSizes,
  postgres: benchPostgres,
  limits: benchLimits,
  profile: benchProfile,
} as const;
type Name = keyof typeof scenarios;

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const results = here("./results/");
const run = (command: string, args: readonly string[], folder = here("..")) =>
  spawnSync(command, args, { cwd: folder, stdio: ["ignore", "inherit", "inherit"] }).status === 0;

const known = Object.keys(scenarios) as Name[];
// `npm run bench -- page` only writes the page again, from the figures that are there.
const onlyPage = process.argv[2] === "page";
// `npm run bench -- faults …` takes options, and the time that it is given: it is not among those that run by themselves.
const onlyFaults = process.argv[2] === "faults";
const asked = onlyPage || onlyFaults ? [] : process.argv.slice(2);
const wrong = asked.filter((name) => !known.includes(name as Name));
if (wrong.length > 0) {
  console.error(
    `There is no scenario ${wrong.join(", ")}; there are ${known.join(", ")}; and ${faultsUsage}.`,
  );
  process.exit(2);
}
if (
  !onlyPage &&
  !onlyFaults &&
  !existsSync(here("./node_modules")) &&
  !run("npm", ["ci", "--workspaces=false", "--no-audit", "--no-fund"], here("."))
)
  process.exit(1);
if (!onlyPage && !run(process.execPath, [here("../scripts/build.ts")])) process.exit(1);
mkdirSync(results, { recursive: true });
const measured = onlyPage || onlyFaults ? [] : asked.length > 0 ? (asked as Name[]) : known;
for (const name of measured) await perform(name, scenarios[name]);
for (const faults of onlyFaults ? faultsScenarios(process.argv.slice(3)) : [])
  if (!(await perform(faults.name, faults.run))) process.exitCode = 1;
const charts = chartsOf(everything());
for (const [name, chart] of Object.entries(charts)) writeFileSync(`${results}${name}.svg`, barChart(chart));
writeFileSync(`${results}README.md`, page());

/** Whether every target was reached. */
async function perform(name: string, scenario: () => Promise<{ findings: Finding[] }>): Promise<boolean> {
  console.error(`${name} …`);
  // A process inherits where its parent may run. What goes wrong, and what is revoked among processes, is to happen on
  // all cores: on one, nodes, APIs and PostgreSQL would take turns.
  const isPinned = canPin && !onlyFaults && name !== "revocation";
  if (canPin) spawnSync("taskset", ["-pc", isPinned ? "1" : `0-${cpus().length - 1}`, String(process.pid)]);
  const result = { scenario: name, ...about(), pinned: isPinned, ...(await scenario()) };
  writeFileSync(`${results}${name}.json`, `${JSON.stringify(result, null, 2)}\n`);
  for (const finding of result.findings) console.error(`  ${line(finding)}`);
  return result.findings.every(({ reached }) => reached);
}

function about() {
  const commit = spawnSync("git", ["rev-parse", "--short", "HEAD"], {
    cwd: here(".."),
    encoding: "utf8",
  }).stdout.trim();
  const [cpu] = cpus();
  return {
    commit,
    node: process.version,
    machine: `${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform}`,
  };
}

function line({ what, target, measured, reached }: Finding): string {
  return `${reached ? "✔" : "✖"} ${what}: ${measured} (target ${target})`;
}

/** All results that there are, by their scenarios. */
function everything() {
  const files = readdirSync(results).filter((file) => file.endsWith(".json"));
  return Object.fromEntries(
    files.map((file) => [file.slice(0, -5), JSON.parse(readFileSync(`${results}${file}`, "utf8"))]),
  );
}

function page(): string {
  const all = readdirSync(results)
    .filter((file) => file.endsWith(".json"))
    .map((file) => JSON.parse(readFileSync(`${results}${file}`, "utf8")));
  const rows = all.flatMap(({ findings, commit }) =>
    (findings as Finding[]).map(
      ({ what, target, measured, reached }) =>
        `| ${what} | ${target} | ${measured} | ${reached ? "yes" : "no"} | ${commit} |`,
    ),
  );
  const { machine, node } = all[0] ?? {};
  return `${readFileSync(here("./about-results.md"), "utf8").trim()}

## Plots

${Object.entries(charts)
  .map(([name, { title }]) => `![${title}](${name}.svg)`)
  .join("\n\n")}

## Figures

Measured on ${machine}, Node ${node}.

| What | Target | Measured: median (least to most) | Reached | Commit |
| --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}
