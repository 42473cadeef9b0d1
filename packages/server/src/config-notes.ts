import { type SettingName, signingAlgorithms } from "./config-schema.ts";
import { limits } from "./primitives/limits.ts";

export interface SettingNotes {
  /** One sentence for the documentation. */
  about: string;
  /** The environment variable that overrides the settings file. */
  variable?: string;
  /** What it takes, for the line that stops a start. */
  takes: string;
  secret?: boolean;
}

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
  secondFactor: {
    about:
      "Who must have a second factor (passkey or authenticator app): nobody, everybody, or users with one of `secondFactorRoles`. Whoever must and has none sets one up at their next sign-in, before anything else.",
    variable: "KEYTURN_SECOND_FACTOR",
    takes: "optional, required or roles",
  },
  secondFactorRoles: {
    about: "The roles whose users must have a second factor, where `secondFactor` is `roles`.",
    variable: "KEYTURN_SECOND_FACTOR_ROLES",
    takes: "names of roles, separated by commas (a list in a settings file)",
  },
  allowedOrigins: {
    about:
      "Web applications on other origins whose pages may call the first-party API (CORS) and change things by the session cookie. Default: none, this server's own origin only.",
    variable: "KEYTURN_ALLOWED_ORIGINS",
    takes:
      "origins like https://app.example.com, separated by commas (a list in a settings file); http only for a loopback host",
  },
  scopes: {
    about:
      "The scopes that clients may ask for at the audience of the first-party API, besides openid, profile, email and offline_access. Those of other APIs belong to their clients: keyturn client add NAME --type resource.",
    variable: "KEYTURN_SCOPES",
    takes: "scopes separated by commas or spaces, such as notes.read,notes.write",
  },
  clients: {
    about:
      "Applications and APIs that are registered by this file. They are added and changed at each start; one that was taken out stays, and the log says so, until keyturn client remove. A secret comes from the environment variable that secretVariable names. See [clients.md](clients.md).",
    takes: "a list of objects with id, name, type, metadata and, for a client with a secret, secretVariable",
    secret: true,
  },
  dynamicRegistration: {
    about:
      "Whether applications may register themselves at POST /oauth/register (RFC 7591): nobody, who has `registrationToken`, or anybody.",
    variable: "KEYTURN_DYNAMIC_REGISTRATION",
    takes: "off, token or open",
  },
  registrationToken: {
    about:
      "The initial access token of POST /oauth/register, where `dynamicRegistration` is `token`: sent as a Bearer token.",
    variable: "KEYTURN_REGISTRATION_TOKEN",
    takes: "a text of 32 to 500 characters of A-Z a-z 0-9 - . _ ~ + /, as from: openssl rand -hex 32",
    secret: true,
  },
  clientDocuments: {
    about:
      "Whether a client id may be the https address of a document that says who the client is (Client ID Metadata Documents). Then this server fetches addresses that strangers name.",
    variable: "KEYTURN_CLIENT_DOCUMENTS",
    takes: "on or off",
  },
  registrationScopes: {
    about:
      "The scopes that clients may ask for which registered themselves or are documents, besides openid, profile, email and offline_access. Default: every scope that there is.",
    variable: "KEYTURN_REGISTRATION_SCOPES",
    takes: "scopes separated by commas or spaces",
  },
  privateHosts: {
    about:
      "Hosts that this server may call although their addresses are private or special: a provider in your own network. Of these, loopback hosts may be http. Default: none.",
    variable: "KEYTURN_PRIVATE_HOSTS",
    takes:
      "hosts like login.corp.example or 127.0.0.1:8080, in lower case, separated by commas (a list in a settings file)",
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
  accessTokenBinding: {
    about:
      "Whether the access tokens of a session that is bound to a key are bound to it too (RFC 9449): then each request to an API needs a proof, and a guard that verifies it. The refresh token of such a session is bound in any case.",
    variable: "KEYTURN_ACCESS_TOKEN_BINDING",
    takes: "none or dpop",
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
  browserIdleSeconds: {
    about: "A browser's session (the cookie) ends when it has not been used for this long.",
    variable: "KEYTURN_BROWSER_IDLE_SECONDS",
    takes: "a whole number of seconds from 60 to 34560000",
  },
  browserAbsoluteSeconds: {
    about: "A browser's session ends this long after sign-in, whatever happens.",
    variable: "KEYTURN_BROWSER_ABSOLUTE_SECONDS",
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
  passwordCharactersMin: {
    about:
      "The least length of a new password. NIST SP 800-63B-4 asks for 15 where a password alone signs in, and 8 where a second factor is always asked for. Passwords that are there already are not asked.",
    variable: "KEYTURN_PASSWORD_CHARACTERS_MIN",
    takes: "a whole number of characters from 8 to 64",
  },
  breachedPasswords: {
    about:
      "Where new passwords are looked up besides the list that comes with Keyturn: nowhere else (local), or at a range service in the form of Pwned Passwords, which is sent the first five hexadecimal digits of a SHA-1 and nothing more.",
    variable: "KEYTURN_BREACHED_PASSWORDS",
    takes:
      "local, or the beginning of an https address that ends in a slash, like https://api.pwnedpasswords.com/range/ (http only for a loopback host that is in privateHosts)",
  },
  auditDays: { about: "How long audit events are kept.", takes: "a whole number of days from 1 to 3650" },
  restoreWindowUntil: {
    about:
      "After restoring an older copy of the database: until then, a refresh token newer than the copy is adopted instead of refused.",
    variable: "KEYTURN_RESTORE_WINDOW_UNTIL",
    takes: "a time like 2026-11-23T12:00:00Z, at most 48 hours ahead",
  },
  siteName: {
    about: "What the pages for people call this place.",
    variable: "KEYTURN_SITE_NAME",
    takes: "a text of 1 to 60 characters",
  },
  mail: {
    about:
      "The mail server that takes our mails, RFC 6409. `smtps` is TLS from the start (port 465); `smtp` turns to TLS by STARTTLS (port 587), which is required unless the host is this machine. Without it: on a loopback issuer mails are printed and kept in the development outbox; on any other issuer nothing is mailed.",
    variable: "KEYTURN_MAIL",
    takes:
      "smtps://USER:PASSWORD@HOST or smtp://USER:PASSWORD@HOST:PORT, special characters as %XX; user and password may be left out together",
    secret: true,
  },
  mailFrom: {
    about: "The address that mails come from. Default: no-reply at the issuer's host.",
    variable: "KEYTURN_MAIL_FROM",
    takes: "one e-mail address, without a name",
  },
  mailLanguage: {
    about:
      "The language of mails to people whose browser has not asked for one that there is, and of all that no browser has asked for.",
    variable: "KEYTURN_MAIL_LANGUAGE",
    takes: "en, de, or a language that the hook mailTexts adds",
  },
  securityMails: {
    about:
      "Whether people are told by mail what happened to their account: a new device, a changed password, a factor or provider that came or went, a stolen token.",
    variable: "KEYTURN_SECURITY_MAILS",
    takes: "on or off",
  },
  logLevel: {
    about: "What is written to the log.",
    variable: "KEYTURN_LOG_LEVEL",
    takes: "fatal, error, warn, info, debug or silent",
  },
};
