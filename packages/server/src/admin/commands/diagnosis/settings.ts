import { settingsClientsProblems } from "../../../clients/settings-clients.ts";
import type { ResolvedSettings } from "../../../config.ts";
import type { Clock } from "../../../primitives/clock.ts";
import { isLoopback } from "../../../primitives/loopback.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

export function* diagnoseSettings(settings: ResolvedSettings, clock: Clock): Generator<Finding> {
  yield ok("settings", "every setting is one that Keyturn takes");
  for (const problem of settingsClientsProblems(settings.clients)) yield fail("settings", problem);
  const { issuer, restoreWindowUntil } = settings;
  const url = new URL(issuer);
  if (url.protocol === "https:") yield ok("issuer", `${issuer} is https`);
  else {
    yield warn("issuer", `${issuer} is for development only: set KEYTURN_ISSUER to an https address`);
  }
  if (isLoopback(url.hostname) && !isLoopback(settings.host) && settings.host !== "::1") {
    yield warn(
      "issuer",
      `it names this machine only, but the server listens on ${settings.host}: nobody else can use its tokens`,
    );
  }
  if (restoreWindowUntil !== undefined && Date.parse(restoreWindowUntil) > clock.now()) {
    yield warn(
      "settings",
      `the restore window is open until ${restoreWindowUntil}: take KEYTURN_RESTORE_WINDOW_UNTIL away when clients have refreshed`,
    );
  }
}
