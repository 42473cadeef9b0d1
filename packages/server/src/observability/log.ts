import { type DestinationStream, type Logger, pino } from "pino";
import type { Settings } from "../config-schema.ts";

export type Log = Logger;

/**
 * The log: one JSON object a line, to the standard error stream, so that a command's answer on the standard
 * output stays clean. What must never be in it is taken out by name as a last resort; nothing relies on that.
 */
export function createLog(settings: Pick<Settings, "logLevel">, destination?: DestinationStream): Log {
  const options = {
    level: settings.logLevel,
    base: null,
    redact: {
      paths: [
        "*.password",
        "*.token",
        "*.refreshToken",
        "*.accessToken",
        "*.secret",
        "*.authorization",
        "*.cookie",
      ],
      censor: "[left out]",
    },
  };
  return pino(options, destination ?? pino.destination({ dest: 2, sync: true }));
}
