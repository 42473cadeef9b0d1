import type { ResolvedSettings } from "../../../config.ts";
import type { Clock } from "../../../primitives/clock.ts";
import { diagnoseDatabase } from "./database.ts";
import { diagnoseDataFolder, diagnoseSecret } from "./files.ts";
import type { Finding } from "./finding.ts";
import { diagnoseIssuer } from "./issuer.ts";
import { diagnoseMail } from "./mail.ts";
import { diagnoseSettings } from "./settings.ts";

/**
 * Looks at everything that a server needs, and changes nothing: no file, table, key or secret is made.
 * The findings come one after the other, so that the first are told while the others are being looked for.
 * @param machineClock this machine's own clock, to be compared with the database's
 */
export async function* diagnose(settings: ResolvedSettings, machineClock: Clock): AsyncGenerator<Finding> {
  yield* diagnoseSettings(settings, machineClock);
  yield* diagnoseMail(settings);
  yield* diagnoseDataFolder(settings);
  const { masters, findings } = diagnoseSecret(settings);
  yield* findings;
  yield* diagnoseDatabase(settings, { masters, machineClock });
  yield* diagnoseIssuer(settings);
}
