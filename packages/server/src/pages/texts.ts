import type { AuditEventType } from "../audit/events.ts";
import { refusals } from "../errors.ts";
import type { PageProblem } from "../http/page.ts";
import type { EndReason } from "../sessions/end.ts";
import { deviceEvents, deviceTexts } from "./texts-device.ts";
import { factorEvents, factorTexts } from "./texts-factors.ts";
import { logoutTexts } from "./texts-logout.ts";
import { mailEvents, mailNotices, mailTexts } from "./texts-mail.ts";
import { oauthEvents, oauthNotices, oauthTexts } from "./texts-oauth.ts";
import { providerEvents, providerNotices, providerTexts } from "./texts-providers.ts";

/**
 * Every word that pages show, in English. To translate them, translate this file; nothing else in pages/ speaks.
 * What the catalogue of refusals and the rules for names and passwords say is theirs (`problemOf`).
 */

const LANGUAGE = "en";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const units = [
  ["year", 365 * DAY],
  ["month", 30 * DAY],
  ["day", DAY],
  ["hour", HOUR],
  ["minute", MINUTE],
] as const;

// Made when first needed: they load the data of a language.
let relative: Intl.RelativeTimeFormat | undefined;
let exact: Intl.DateTimeFormat | undefined;

/** How long ago, in words. */
function ago(seconds: number): string {
  relative ??= new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" });
  for (const [unit, length] of units) {
    if (seconds >= length) return relative.format(-Math.floor(seconds / length), unit);
  }
  return "just now";
}

/** A moment to the minute. Without scripts nobody knows the reader's time zone. */
function moment(milliseconds: number): string {
  exact ??= new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });
  return `${exact.format(milliseconds)} UTC`;
}

function wait(seconds: number): string {
  if (seconds < 90) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  if (seconds < 90 * MINUTE) return `${Math.ceil(seconds / MINUTE)} minutes`;
  return `${Math.ceil(seconds / HOUR)} hours`;
}

/** What is known of a security event, each ready to be shown. */
export interface EventFacts {
  readonly byOperator: boolean;
  /** The device that it happened on. */
  readonly device: string | undefined;
  readonly endReason: EndReason | undefined;
  /** It is about signing in by mail. */
  readonly isByMail: boolean;
}

const endings: Readonly<Partial<Record<EndReason, string>>> = {
  signed_out: "You signed out",
  ended_by_user: "You signed out another device",
  ended_by_operator: "A device was signed out by the operator of this site",
  revoked_by_client: "An application signed itself out",
  password_changed: "Other devices were signed out, because the password was changed",
  user_disabled: "All devices were signed out, because the account was switched off",
};

const events: Readonly<Partial<Record<AuditEventType, (facts: EventFacts) => string | undefined>>> = {
  "user.added": () => "The operator of this site made your account",
  "user.registered": () => "You made your account",
  "user.updated": ({ byOperator }) =>
    byOperator ? "The operator of this site changed your details" : "You changed your details",
  "user.disabled": () => "The operator of this site switched your account off",
  "user.enabled": () => "The operator of this site switched your account on again",
  "user.roles_changed": () => "The operator of this site changed what you may do",
  "password.changed": ({ byOperator }) =>
    byOperator ? "The operator of this site changed your password" : "You changed your password",
  ...providerEvents,
  ...deviceEvents,
  ...oauthEvents,
  ...mailEvents,
  "sign_in.failed": ({ isByMail }) =>
    isByMail
      ? "Somebody typed wrong digits where they had asked for a letter to sign in"
      : "Somebody tried to sign in with a wrong password",
  "sign_in.limited": () => "Many wrong passwords were tried, so signing in was slowed down",
  "session.started": ({ device }) => (device === undefined ? "You signed in" : `You signed in on ${device}`),
  "session.ended": ({ endReason }) => (endReason === undefined ? undefined : endings[endReason]),
  ...factorEvents(),
  "session.reuse_detected": ({ device }) =>
    `A copy of a sign-in was used${device === undefined ? "" : ` (${device})`}, so that device was signed out. If you do not know why, change your password`,
};

const problems: Readonly<Record<PageProblem, { readonly title: string; readonly text: string }>> = {
  invalid_request: {
    title: "This could not be read",
    text: "What was sent is not what the form sends. Go back, open the page again and fill in the form once more.",
  },
  cross_site: {
    title: "This came from another site",
    text: "Another site tried to send a form to this one in your name. Nothing was done. If you meant to do something here, begin on this site.",
  },
  form_out_of_date: {
    title: "This form is out of date",
    text: "Nothing was done. You may have signed in or out since you opened it. Open the page again and repeat what you wanted to do.",
  },
  not_found: { title: "There is no such page", text: "The address may be mistyped, or the page has moved." },
  method_not_allowed: {
    title: "This address cannot do that",
    text: "Open the page from its beginning.",
  },
  body_too_large: {
    title: "That was too much",
    text: "The form was sent with more text than it takes. Go back and shorten what you wrote.",
  },
  unsupported_media_type: {
    title: "This could not be read",
    text: "What was sent is not a form. Open the page and fill in the form there.",
  },
  server_error: {
    title: "Something broke here",
    text: "It is not your fault, and it has been noted. Try again in a moment. You are still signed in.",
  },
  busy: {
    title: "Too much is going on just now",
    text: "Wait a few seconds, then try again. You are still signed in.",
  },
  unavailable: {
    title: "Back in a moment",
    text: "This site cannot reach its data just now. Try again in a moment. You are still signed in.",
  },
};

/** Sentences that an address can ask for by a code, never by their text. */
const notices = {
  "session-ended": "That device is signed out.",
  "session-gone": "That device was signed out already.",
  "others-ended": "All your other devices are signed out.",
  "none-ended": "There was no other device to sign out.",
  "password-changed": "Your password is changed.",
  "password-changed-others-ended": "Your password is changed, and all your other devices are signed out.",
  ...factorTexts.notices,
  ...providerNotices,
  ...mailNotices,
  ...oauthNotices,
} as const;
export type NoticeCode = keyof typeof notices;

export const texts = {
  language: LANGUAGE,
  title: (page: string, site: string) => `${page} · ${site}`,
  errorTitle: (title: string) => `Error: ${title}`,
  skip: "Skip to the content",
  youAreAt: (host: string) => `You are at ${host}`,
  wait,
  ago,
  moment,
  /** What the rules of names and passwords say, which is English; a translation may go by the field instead. */
  problemOf: (_field: string, sentence: string) => sentence,
  formOutOfDate:
    "This form was out of date, so nothing was done. Please send it again. If this keeps happening, allow cookies for this site.",
  optional: "optional",
  problemsHeading: (count: number) => (count === 1 ? "There is a problem" : `There are ${count} problems`),
  busy: "Too much is going on just now. Wait a few seconds, then try again.",
  tooManyAttempts: (seconds: number) => `Too many attempts. Wait ${wait(seconds)}, then try again.`,
  factors: factorTexts,
  usernameLabel: "Username",
  emailLabel: "E-mail address",
  passwordLabel: "Password",
  problems,
  problemHome: "Go to the start page",
  notices,
  providers: providerTexts,
  logout: logoutTexts,
  mail: mailTexts,
  oauth: oauthTexts,
  device: deviceTexts,
  nav: { label: "Account", account: "Your account", signIn: "Sign in", signOut: "Sign out" },

  home: {
    title: (site: string) => site,
    welcome: (site: string) => `Welcome to ${site}`,
    about: "Sign in to see your account, your devices and what happened lately.",
    signedIn: (name: string) => `You are signed in as ${name}.`,
    signIn: "Sign in",
    signUp: "Create an account",
    account: "Your account",
    developers: "For developers",
    version: (version: string) => `Keyturn ${version}`,
    links: {
      openapi: "The API, in OpenAPI",
      discovery: "Metadata",
      jwks: "Public keys",
      health: "Health",
    },
  },

  signIn: {
    title: "Sign in",
    nameLabel: "Username or e-mail address",
    submit: "Sign in",
    newHere: "New here?",
    signUp: "Create an account",
    wrong: refusals.invalid_credentials.sentence,
    missing: "Type your username or e-mail address, and your password.",
    already: (name: string) => `You are signed in as ${name}.`,
    alreadyTitle: "You are signed in",
    proceed: "Continue",
    someoneElse: "Sign in as someone else",
    someoneElseWarning: (name: string) => `Whoever signs in here takes the place of ${name} in this browser.`,
  },

  signUp: {
    title: "Create an account",
    usernameHint: "Letters, digits and . _ + - only.",
    emailHint: "You can sign in with it too.",
    nameLabel: "Your name",
    nameHint: "As you want to be called.",
    passwordHint: (charactersMin: number) =>
      `At least ${charactersMin} characters, of any kind. A few words together make a good one.`,
    submit: "Create account",
    haveOne: "Have an account?",
    signIn: "Sign in",
    refused: refusals.registration_refused.sentence,
    closedTitle: "No new accounts here",
    closed: "Creating an account is switched off on this site. Ask its operator for one.",
    someoneElseWarning: (name: string) => `The new account takes the place of ${name} in this browser.`,
  },

  signOut: {
    title: "Sign out",
    question: (name: string) => `You are signed in as ${name}.`,
    everywhere: "Sign out on all my devices",
    everywhereHint: "Every browser and app in which you are signed in.",
    submit: "Sign out",
    stay: "Stay signed in",
    doneTitle: "You are signed out",
    done: "Nobody is signed in in this browser.",
    again: "Sign in again",
  },

  account: {
    title: "Your account",
    devices: "Your devices",
    devicesAbout: "Where you are signed in. Sign out what you do not know or no longer use.",
    thisDevice: "This device",
    unknownDevice: "Unknown device",
    on: (browser: string, system: string) => `${browser} on ${system}`,
    lastUsed: "Last used",
    signedIn: "signed in",
    end: "Sign out",
    endOne: (device: string) => `Sign out ${device}`,
    endOthers: "Sign out all other devices",
    more: (count: number) => `Only the newest ${count} are shown.`,
    password: "Password",
    passwordAbout: "Change it if somebody else may know it, or if you use it on another site too.",
    changePassword: "Change password",
    events: "Recent security events",
    eventsAbout: "If something here was not you, change your password.",
    noEvents: "Nothing has happened yet.",
    times: (count: number) => `${count} times`,
    event: (type: AuditEventType, facts: EventFacts): string | undefined => events[type]?.(facts),
    emailUnverified: "not confirmed",
  },

  password: {
    title: "Change password",
    currentLabel: "Current password",
    newLabel: "New password",
    newHint: (charactersMin: number) =>
      `At least ${charactersMin} characters, of any kind. A few words together make a good one.`,
    endOthers: "Sign out my other devices",
    endOthersHint: "Whoever knows the old password may be signed in somewhere.",
    submit: "Change password",
    back: "Back to your account",
    wrong: "This is not your current password.",
    missingCurrent: "Type your current password.",
  },
};
