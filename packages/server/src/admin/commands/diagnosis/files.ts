import { accessSync, constants, existsSync, type Stats, statSync } from "node:fs";
import type { ResolvedSettings } from "../../../config.ts";
import { loadMasterSecrets } from "../../../keys/secrets.ts";
import { type Finding, fail, lineOf, ok, warn } from "./finding.ts";

/** Whether others on this machine can get at it. Windows has no such bits. */
export function isOpenToOthers(status: Stats): boolean {
  return process.platform !== "win32" && (status.mode & 0o077) !== 0;
}

export function* diagnoseDataFolder({ data, database, secret }: ResolvedSettings): Generator<Finding> {
  const isNeeded = database.startsWith("sqlite:") || secret === undefined;
  const status = statSync(data, { throwIfNoEntry: false });
  if (status === undefined) {
    if (isNeeded) yield warn("data folder", `${data} does not exist yet: the first start makes it`);
    return;
  }
  if (!status.isDirectory()) {
    yield fail("data folder", `${data} is not a folder: set KEYTURN_DATA to one`);
    return;
  }
  try {
    accessSync(data, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    yield fail("data folder", `this user may not write in ${data}: change its owner or mode`);
    return;
  }
  if (isOpenToOthers(status))
    yield warn("data folder", `other users can look into ${data}: chmod 700 ${data}`);
  else yield ok("data folder", `${data} is this user's alone`);
}

/** The master secrets, if they can be read; they are needed to look at the keys. */
export function diagnoseSecret({ secret, data }: ResolvedSettings): {
  masters: Buffer[] | undefined;
  findings: Finding[];
} {
  const file = `${data}/secret`;
  if (secret === undefined && !existsSync(file)) {
    return {
      masters: undefined,
      findings: [warn("secret", `there is no ${file} yet: the first start makes it`)],
    };
  }
  try {
    const masters = loadMasterSecrets(secret, file);
    const where = secret === undefined ? `${file}, for this user alone` : "in KEYTURN_SECRET";
    const more = masters.length > 1 ? ` (and ${masters.length - 1} older)` : "";
    return { masters, findings: [ok("secret", `it is ${where}${more}`)] };
  } catch (error) {
    return { masters: undefined, findings: [fail("secret", lineOf(error))] };
  }
}
