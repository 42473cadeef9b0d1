import { parseArgs } from "node:util";
import type { ComplaintKind } from "./faults/ledger.ts";
import { type Report, runFaults } from "./faults/run.ts";
import type { Engine } from "./faults/world.ts";
import type { Finding } from "./figures.ts";

/*
 * `npm run bench -- faults`: the long run, of at least 500 kills and a million turns for each engine unless it is told
 * otherwise. docs/faults.md says what it promises.
 */

const engines = ["sqlite", "postgres"] as const satisfies readonly Engine[];

export const faultsUsage =
  "npm run bench -- faults [--engine sqlite|postgres|both] [--kills 500] [--turns 1000000] [--seconds 3600] [--people 1500] [--seed …]";

/** @throws when an argument is not what it takes */
function readArguments(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      engine: { type: "string", default: "both" },
      kills: { type: "string", default: "500" },
      turns: { type: "string", default: "1000000" },
      seconds: { type: "string", default: "3600" },
      people: { type: "string", default: "1500" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 1_000_000)) },
    },
  });
  const wanted = engines.filter((engine) => values.engine === engine || values.engine === "both");
  if (wanted.length === 0)
    throw new Error(`--engine takes sqlite, postgres or both, not "${values.engine}".`);
  const whole = (name: "kills" | "turns" | "seconds" | "people" | "seed") => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 0)
      throw new Error(`--${name} takes a whole number from 0, not "${values[name]}".`);
    return value;
  };
  const [kills, turns, seed] = [whole("kills"), whole("turns"), whole("seed")];
  return { wanted, kills, turns, seed, secondsMax: whole("seconds"), people: Math.max(1, whole("people")) };
}

/** One for each engine that is asked for: each is of its own commit, and long. */
export function faultsScenarios(args: readonly string[]) {
  const { wanted, ...asked } = readArguments(args);
  return wanted.map((engine) => ({ name: `faults-${engine}`, run: () => benchFaults(engine, asked) }));
}

async function benchFaults(engine: Engine, asked: Omit<ReturnType<typeof readArguments>, "wanted">) {
  const log = (line: string) => console.error(`  ${engine}: ${line}`);
  log(`seed ${asked.seed}`);
  const more = { ofEach: 5, lanes: 48, eventfulness: 1, graceSeconds: 1, command: "dist" } as const;
  const report = await runFaults({ engine, ...asked, ...more, log });
  const complaints = report.complaints.slice(0, complaintsShownMax);
  for (const { kind, what, session, history } of complaints)
    log(`${kind}: ${what} (session ${session ?? "none"})\n    ${history.join("\n    ")}`);
  return { findings: findingsOf(report), run: { ...report, complaints } };
}

const complaintsShownMax = 20;
const targets = { kills: 500, turns: 1_000_000 };
const killName = "kill a node (kill -9)";

function findingsOf({ engine, counters, counts, faults, seconds, skipped }: Report): Finding[] {
  const kills = faults[killName] ?? 0;
  const others = Object.values(faults).reduce((sum, times) => sum + times, 0) - kills;
  const left = Object.entries(skipped).map(([name, why]) => `; not done: ${name} (${why})`);
  const extent: Finding = {
    what: `faults, ${engine}: extent`,
    target: `≥ ${targets.kills} kills, ≥ ${targets.turns.toLocaleString("en")} turns`,
    measured: `${kills} kills, ${others} other faults, ${counts.turns.toLocaleString("en")} turns, ${counts.thievesCaught} thieves, in ${seconds} s${left.join("")}`,
    reached: kills >= targets.kills && counts.turns >= targets.turns,
  };
  const zeros = (Object.entries(counters) as [ComplaintKind, number][]).map(([kind, count]) => ({
    what: `faults, ${engine}: ${kind}`,
    target: "0",
    measured: String(count),
    reached: count === 0,
  }));
  return [extent, ...zeros];
}
