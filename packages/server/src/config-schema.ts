import { z } from "zod";
import { settingsClientSchema } from "./config-clients.ts";
import { limits } from "./primitives/limits.ts";
import { isLoopback } from "./primitives/loopback.ts";
import { mailboxOf } from "./primitives/mailbox.ts";

/** Algorithms that sign tokens here. RFC 7518 §3.1, RFC 8037 (EdDSA), RFC 9964 (ML-DSA). */
export const signingAlgorithms = ["ES256", "RS256", "EdDSA", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] as const;
export type SigningAlgorithm = (typeof signingAlgorithms)[number];

const DAY = 24 * 60 * 60;

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
  secondFactor: z.enum(["optional", "required", "roles"]).default("optional"),
  secondFactorRoles: z
    .union([z.string(), z.array(z.string())])
    .transform((value) => (typeof value === "string" ? value.split(",") : value).map((one) => one.trim()))
    .refine((roles) => roles.length <= limits.secondFactorRolesMax && roles.every(isRoleName))
    .default([]),
  allowedOrigins: z
    .union([z.string(), z.array(z.string())])
    .transform((value) => (typeof value === "string" ? value.split(",") : value).map((one) => one.trim()))
    .refine((origins) => origins.length <= limits.allowedOriginsMax && origins.every(isOrigin))
    .default([]),
  scopes: z
    .union([z.string(), z.array(z.string())])
    .transform((value) => (typeof value === "string" ? value.split(/[ ,]+/) : value).map((one) => one.trim()))
    .refine((scopes) => scopes.length <= limits.scopesMax && scopes.every(isScope))
    .default([]),
  clients: z.array(settingsClientSchema).max(limits.settingsClientsMax).default([]),
  dynamicRegistration: z.enum(["off", "token", "open"]).default("off"),
  registrationToken: z
    .string()
    .min(32)
    .max(500)
    .regex(/^[A-Za-z0-9\-._~+/]+=*$/)
    .optional(),
  clientDocuments: z.enum(["off", "on"]).default("off"),
  registrationScopes: z
    .union([z.string(), z.array(z.string())])
    .transform((value) => (typeof value === "string" ? value.split(/[ ,]+/) : value).map((one) => one.trim()))
    .refine((scopes) => scopes.length <= limits.scopesMax && scopes.every(isScope))
    .optional(),
  privateHosts: z
    .union([z.string(), z.array(z.string())])
    .transform((value) => (typeof value === "string" ? value.split(",") : value).map((one) => one.trim()))
    .refine((hosts) => hosts.length <= limits.privateHostsMax && hosts.every(isHost))
    .default([]),
  accessTokenSeconds: seconds(60, limits.accessTokenSecondsMax).default(600),
  accessTokenAlgorithm: z.enum(signingAlgorithms).default("ES256"),
  accessTokenBinding: z.enum(["none", "dpop"]).default("none"),
  idTokenSeconds: seconds(60, DAY).default(600),
  refreshGraceSeconds: seconds(0, 120).default(30),
  appIdleSeconds: seconds(60, 400 * DAY).default(14 * DAY),
  appAbsoluteSeconds: seconds(60, 400 * DAY).default(180 * DAY),
  browserIdleSeconds: seconds(60, 400 * DAY).default(14 * DAY),
  browserAbsoluteSeconds: seconds(60, 400 * DAY).default(30 * DAY),
  signingKeyDays: z.number().int().min(1).max(400).default(90),
  jwksCacheSeconds: seconds(10, DAY).default(300),
  passwordMemoryKib: z.number().int().min(7168).max(1_048_576).default(19_456),
  passwordPasses: z.number().int().min(1).max(20).default(2),
  passwordHashesConcurrentMax: z.number().int().min(1).max(64).optional(),
  passwordCharactersMin: z.number().int().min(8).max(64).default(8),
  breachedPasswords: z
    .string()
    .refine((value) => value === "local" || isRangeService(value))
    .default("local"),
  auditDays: z.number().int().min(1).max(3650).default(365),
  restoreWindowUntil: z.iso.datetime({ offset: true }).optional(),
  siteName: z
    .string()
    .min(1)
    .max(60)
    .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text))
    .default("Keyturn"),
  mail: z.string().refine(isMailServer).optional(),
  mailFrom: z
    .string()
    .refine((text) => mailboxOf(text) !== undefined)
    .optional(),
  mailLanguage: z
    .string()
    .regex(/^[a-z]{2,3}(-[A-Z]{2})?$/)
    .default("en"),
  securityMails: z.enum(["on", "off"]).default("on"),
  logLevel: z.enum(["fatal", "error", "warn", "info", "debug", "silent"]).default("info"),
});

/** Settings as an operator writes them: everything may be left out. */
export type SettingsInput = z.input<typeof settingsSchema>;
/** Settings after defaults. */
export type Settings = z.output<typeof settingsSchema>;
export type SettingName = keyof Settings;

/** The beginning of the addresses of a service: https, or http on this machine, and a path that ends in a slash. */
function isRangeService(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, search, hash } = new URL(text);
  if (username || password || search || hash || !text.endsWith("/")) return false;
  return protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
}

const isRoleName = (text: string) => text.length <= limits.roleCharactersMax && /^[^\s,]+$/.test(text);
/** RFC 6749 §3.3. */
const isScope = (text: string) => text.length <= 200 && /^[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]+$/.test(text);
/** Whether the text is a host as it stands in an https address, with the port if it is not the usual one. */
function isHost(text: string): boolean {
  return URL.canParse(`https://${text}`) && new URL(`https://${text}`).host === text;
}

/** Whether the text is the origin of a web page as a browser sends it: https, or http on this machine. */
function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { origin, protocol, hostname } = new URL(text);
  return origin === text && (protocol === "https:" || (protocol === "http:" && isLoopback(hostname)));
}

/** Whether the text says where mail is handed in: smtp or smtps, a host, perhaps a port, a user and a password. */
function isMailServer(text: string): boolean {
  if (text.length > limits.mailServerCharactersMax || !URL.canParse(text)) return false;
  const { protocol, hostname, pathname, search, hash, username, password } = new URL(text);
  const isBare = (pathname === "" || pathname === "/") && search === "" && hash === "";
  const isKnown = protocol === "smtp:" || protocol === "smtps:";
  return isKnown && isBare && hostname !== "" && (username === "") === (password === "") && isDecodable(text);
}

function isDecodable(text: string): boolean {
  const { username, password } = new URL(text);
  try {
    return !/\p{Cc}/u.test(decodeURIComponent(username) + decodeURIComponent(password));
  } catch {
    return false;
  }
}
