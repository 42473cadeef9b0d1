import { diagnose } from "../../admin/commands/diagnosis/diagnose.ts";
import { type Finding, fail, warn } from "../../admin/commands/diagnosis/finding.ts";
import { WrongSetting } from "../../config.ts";
import { systemClock } from "../../primitives/clock.ts";
import type { Context } from "../open.ts";
import { exitCodes } from "../outcome.ts";
import { loadSettings } from "../settings.ts";
import { printable } from "../terminal.ts";

/** Prints a line for each finding as it is made. Exit code 1 when one of them is a `fail`. */
export async function doctor({ terminal, sources, json }: Context): Promise<number> {
  const findings: Finding[] = [];
  for await (const finding of findingsOf(sources)) {
    findings.push(finding);
    if (!json)
      terminal.stdout.write(`${finding.state.padEnd(4)}  ${finding.check}: ${printable(finding.text)}\n`);
  }
  if (json) terminal.stdout.write(`${JSON.stringify({ findings }, null, 2)}\n`);
  return findings.some(({ state }) => state === "fail") ? exitCodes.refused : exitCodes.done;
}

async function* findingsOf(sources: Context["sources"]): AsyncGenerator<Finding> {
  try {
    const { settings, unknownVariables } = await loadSettings(sources);
    for (const name of unknownVariables)
      yield warn("settings", `the variable ${name} is no setting: a slip of the pen?`);
    yield* diagnose(settings, systemClock);
  } catch (error) {
    if (!(error instanceof WrongSetting)) throw error;
    for (const line of error.message.split("\n")) yield fail("settings", line);
  }
}
