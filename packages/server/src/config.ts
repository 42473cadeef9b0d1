import { z } from "zod";
import { systemClock } from "./primitives/clock.ts";
import { limits } from "./primitives/limits.ts";

/** Algorithms that sign tokens here. RFC 7518 §3.1, RFC 8037 (EdDSA), RFC 9964 (ML-DSA). */
export const signingAlgorithms = ["ES256", "RS256", "EdDSA", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] as const;
export type SigningAlgorithm = (typeof signingAlgorithms)[number];

const DAY = 24 * 60 * 60;

interface SettingNotes {
  /** One sentence for the documentation. */
  about: string;
  /** The environment variable that overrides the settings file. */
  variable?: string;
  /** What it takes, for the line that stops a start. */
  takes: string;
  secret?: boolean;
}

const seconds = (from: number, to: number) => z.number().int().min(from).max(to);

/**
 * Every setting: name with its unit, default, bounds. The loader, `keyturn doctor` and docs/settings.md read
 * this and `settingNotes`; nothing else in the server reads the environment.
 */
export const settingsSchema = z.strictObject({
  issuer: z
    .url({ protocol: /^https?$/ })
    .refine((value) => !/[?#]/.test(value) && !value.endsWith("/"))
    .refine((value) => value.startsWith("https:") || isLoopback(new URL(value).hostname))
    .optional(),
  audience: z.string().min(1).max(500).optional(),
  database: z
    .string()
    .regex(/^(sqlite:.+|postgres(ql)?:\/\/.+)$/)
    .optional(),
  data: z.string().min(1).default("./data"),
  secret: z.string().min(1).optional(),
  port: z.number().int().min(0).max(65535).default(3000),
  host: z.string().min(1).default("127.0.0.1"),
  metrics: z.enum(["loopback", "open", "off"]).default("loopback"),
  trustedProxies: z.number().int().min(0).max(5).default(0),
  registration: z.enum(["open", "off"]).default("open"),
  accessTokenSeconds: seconds(60, limits.accessTokenSecondsMax).default(600),
  accessTokenAlgorithm: z.enum(signingAlgorithms).default("ES256"),
  idTokenSeconds: seconds(60, DAY).default(600),
  refreshGraceSeconds: seconds(0, 120).default(30),
  appIdleSeconds: seconds(60, 400 * DAY).default(14 * DAY),
  appAbsoluteSeconds: seconds(60, 400 * DAY).default(180 * DAY),
  signingKeyDays: z.number().int().min(1).max(400).default(90),
  jwksCacheSeconds: seconds(10, DAY).default(300),
  passwordMemoryKib: z.number().int().min(7168).max(1_048_576).default(19_456),
  passwordPasses: z.number().int().min(1).max(20).default(2),
  passwordHashesConcurrentMax: z.number().int().min(1).max(64).optional(),
  auditDays: z.number().int().min(1).max(3650).default(365),
  restoreWindowUntil: z.iso.datetime({ offset: true }).optional(),
  logLevel: z.enum(["fatal", "error", "warn", "info", "debug", "silent"]).default("info"),
});

/** Settings as an operator writes them: everything may be left out. */
export type SettingsInput = z.input<typeof settingsSchema>;
/** Settings after defaults. */
export type Settings = z.output<typeof settingsSchema>;
export type SettingName = keyof Settings;

export const settingNotes: Readonly<Record<SettingName, SettingNotes>> = {
  issuer: {
    about:
      "The public address of this server, the `iss` of every token. Default: http://localhost and the port.",
    variable: "KEYTURN_ISSUER",
    takes: "an https address without a trailing slash, query or fragment (http only for a loopback host)",
  },
  audience: {
    about: "The `aud` of access tokens from the first-party API. Default: the issuer.",
    variable: "KEYTURN_AUDIENCE",
    takes: "a text of 1 to 500 characters, usually the address of your API",
  },
  database: {
    about: "Where rows live. Default: sqlite:, the data folder, keyturn.db.",
    variable: "KEYTURN_DATABASE",
    takes: "sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME",
    secret: true,
  },
  data: {
    about: "The folder for the SQLite database and the master secret.",
    variable: "KEYTURN_DATA",
    takes: "a path",
  },
  secret: {
    about:
      "The master secret, from which every other key is derived. Several, separated by commas, while it is being changed: the first one is used, the others still open what they closed. Default: a file in the data folder, made at the first start.",
    variable: "KEYTURN_SECRET",
    takes:
      "at least 32 random bytes in base64url, as from: openssl rand -base64 32 | tr '+/' '-_' | tr -d '='",
    secret: true,
  },
  port: {
    about: "The port to listen on; 0 lets the system choose.",
    variable: "PORT",
    takes: "a whole number from 0 to 65535",
  },
  host: { about: "The address to listen on.", variable: "HOST", takes: "a host name or an IP address" },
  metrics: {
    about: "Who may read GET /metrics: callers on this machine, anyone, or nobody.",
    variable: "KEYTURN_METRICS",
    takes: "loopback, open or off",
  },
  trustedProxies: {
    about: "How many proxies in front of this server add to X-Forwarded-For. 0: the header is ignored.",
    variable: "KEYTURN_TRUSTED_PROXIES",
    takes: "a whole number from 0 to 5",
  },
  registration: {
    about: "Whether anyone may make an account by POST /register.",
    variable: "KEYTURN_REGISTRATION",
    takes: "open or off",
  },
  accessTokenSeconds: {
    about: "How long an access token lives.",
    variable: "KEYTURN_ACCESS_TOKEN_SECONDS",
    takes: `a whole number of seconds from 60 to ${limits.accessTokenSecondsMax}`,
  },
  accessTokenAlgorithm: {
    about: "What signs access tokens.",
    variable: "KEYTURN_ACCESS_TOKEN_ALGORITHM",
    takes: `one of ${signingAlgorithms.join(", ")}`,
  },
  idTokenSeconds: {
    about: "How long an ID token lives.",
    takes: "a whole number of seconds from 60 to 86400",
  },
  refreshGraceSeconds: {
    about:
      "How long a refresh token that was just replaced still gets the same successor (two tabs, a lost reply).",
    variable: "KEYTURN_REFRESH_GRACE_SECONDS",
    takes: "a whole number of seconds from 0 to 120",
  },
  appIdleSeconds: {
    about: "An app's session ends when it has not been used for this long.",
    variable: "KEYTURN_APP_IDLE_SECONDS",
    takes: "a whole number of seconds from 60 to 34560000",
  },
  appAbsoluteSeconds: {
    about: "An app's session ends this long after sign-in, whatever happens.",
    variable: "KEYTURN_APP_ABSOLUTE_SECONDS",
    takes: "a whole number of seconds from 60 to 34560000",
  },
  signingKeyDays: {
    about: "How often the signing keys rotate by themselves.",
    variable: "KEYTURN_SIGNING_KEY_DAYS",
    takes: "a whole number of days from 1 to 400",
  },
  jwksCacheSeconds: {
    about: "How long verifiers may keep the key set; a new key is published this long before it signs.",
    variable: "KEYTURN_JWKS_CACHE_SECONDS",
    takes: "a whole number of seconds from 10 to 86400",
  },
  passwordMemoryKib: {
    about: "Memory of one Argon2id hash. Raised hashes are replaced at the next sign-in.",
    variable: "KEYTURN_PASSWORD_MEMORY_KIB",
    takes: "a whole number of KiB from 7168 to 1048576",
  },
  passwordPasses: {
    about: "Passes of one Argon2id hash.",
    variable: "KEYTURN_PASSWORD_PASSES",
    takes: "a whole number from 1 to 20",
  },
  passwordHashesConcurrentMax: {
    about:
      "Password hashes computed at once, each on a thread of its own. Default: cores less one, at least 1, at most 8.",
    variable: "KEYTURN_PASSWORD_HASHES_CONCURRENT_MAX",
    takes: "a whole number from 1 to 64",
  },
  auditDays: { about: "How long audit events are kept.", takes: "a whole number of days from 1 to 3650" },
  restoreWindowUntil: {
    about:
      "After restoring an older copy of the database: until then, a refresh token newer than the copy is adopted instead of refused.",
    variable: "KEYTURN_RESTORE_WINDOW_UNTIL",
    takes: "a time like 2026-11-23T12:00:00Z, at most 48 hours ahead",
  },
  logLevel: {
    about: "What is written to the log.",
    variable: "KEYTURN_LOG_LEVEL",
    takes: "fatal, error, warn, info, debug or silent",
  },
};

export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** A setting that stops the start: one line that names it, what it got, and what it takes. */
export class WrongSetting extends Error {
  override readonly name = "WrongSetting";
}

/** While it is open, a leaked tag key is enough to take over sessions: nobody should forget it open. */
const RESTORE_WINDOW_MS_MAX = 48 * 60 * 60 * 1000;

/** Settings with what depends on other settings filled in. */
export interface ResolvedSettings extends Settings {
  readonly issuer: string;
  readonly audience: string;
  readonly database: string;
}

/**
 * Checks settings and fills in the defaults.
 * @param nameOf how to call a setting in an error: by its environment variable, when it came from there
 * @throws WrongSetting one line for each wrong setting: its name, what it got (never a secret), what it takes
 */
export function parseSettings(
  input: unknown,
  nameOf: (name: string) => string = (name) => name,
): ResolvedSettings {
  const parsed = settingsSchema.safeParse(input);
  if (!parsed.success) throw new WrongSetting(describeWrong(parsed.error, input, nameOf));
  const settings = parsed.data;
  if (settings.appIdleSeconds > settings.appAbsoluteSeconds) {
    throw new WrongSetting(
      `${nameOf("appIdleSeconds")} is ${settings.appIdleSeconds}, more than ${nameOf("appAbsoluteSeconds")} (${settings.appAbsoluteSeconds}); it takes at most that.`,
    );
  }
  const { restoreWindowUntil } = settings;
  if (
    restoreWindowUntil !== undefined &&
    Date.parse(restoreWindowUntil) > systemClock.now() + RESTORE_WINDOW_MS_MAX
  ) {
    throw new WrongSetting(
      `${nameOf("restoreWindowUntil")} is ${restoreWindowUntil}; it takes ${settingNotes.restoreWindowUntil.takes}.`,
    );
  }
  const issuer = settings.issuer ?? `http://localhost:${settings.port}`;
  return {
    ...settings,
    issuer,
    audience: settings.audience ?? issuer,
    database: settings.database ?? `sqlite:${settings.data.replace(/\/+$/, "")}/keyturn.db`,
  };
}

function describeWrong(error: z.ZodError, input: unknown, nameOf: (name: string) => string): string {
  const lines = new Set<string>();
  for (const issue of error.issues) {
    if (issue.code === "unrecognized_keys") {
      for (const name of issue.keys) lines.add(`There is no setting ${name}; docs/settings.md lists them.`);
      continue;
    }
    const name = String(issue.path[0] ?? "");
    const notes = settingNotes[name as SettingName] as SettingNotes | undefined;
    if (notes === undefined) {
      lines.add("The settings must be an object, as in { port: 3000 }.");
      continue;
    }
    const got = (input as Record<string, unknown>)[name];
    const shown = notes.secret ? "a wrong value (not shown)" : JSON.stringify(got)?.slice(0, 100);
    lines.add(`${nameOf(name)} is ${shown}; it takes ${notes.takes}.`);
  }
  return [...lines].join("\n");
}
