import type { AuditEventType } from "../audit/events.ts";

/** The words of signing in with a provider, and of connecting one. A part of texts.ts. */

interface Trouble {
  readonly title: string;
  readonly text: (provider: string) => string;
}

const trouble = {
  unknown_provider: {
    title: "There is no such way to sign in",
    text: () => "It may have been switched off. Sign in another way.",
  },
  unreachable: {
    title: "That did not work just now",
    text: (provider) =>
      `${provider} could not be asked. Nothing was changed. Try again in a few minutes, or sign in another way.`,
  },
  attempt_gone: {
    title: "Please begin again",
    text: () =>
      "This answer does not belong to anything that was begun in this browser, or it came too late. Nothing was changed. Begin again; if it keeps happening, allow cookies for this site.",
  },
  denied: {
    title: "You did not go on",
    text: (provider) =>
      `${provider} says that you did not agree. Nothing was changed. Begin again, or sign in another way.`,
  },
  not_proven: {
    title: "That did not work",
    text: (provider) =>
      `What came from ${provider} could not be accepted, so nobody was signed in and nothing was changed. Begin again. If it keeps happening, tell the operator of this site.`,
  },
  account_disabled: {
    title: "You cannot sign in",
    text: () => "This account is switched off or gone. Ask the operator of this site.",
  },
  registration_closed: {
    title: "No new accounts here",
    text: () =>
      "Nobody here is connected to that account, and making new ones is switched off. If you have an account, sign in to it and connect the other one on your account page.",
  },
  signed_out: {
    title: "You are signed out",
    text: () =>
      "You signed in or out while this was under way. Nothing was changed. Sign in and begin again.",
  },
  taken: {
    title: "That account is connected already",
    text: (provider) =>
      `Somebody here is connected to this account at ${provider}, so it was not connected to yours. If that is you too, sign in to that account and disconnect it there.`,
  },
  too_many: {
    title: "That is as many as there can be",
    text: () => "Your account has as many connected accounts as it can have. Disconnect one first.",
  },
  nothing_pending: {
    title: "Nothing is waiting",
    text: () => "It was done already, or it took too long. Begin again.",
  },
} as const satisfies Record<string, Trouble>;

export type TroubleCode = keyof typeof trouble;

export const providerTexts = {
  back: {
    title: (host: string) => `Back to ${host}`,
    proceed: "Continue",
  },

  or: "or",
  continueWith: (provider: string) => `Continue with ${provider}`,
  trouble,
  again: "Sign in",
  startTitle: (provider: string) => `Sign in with ${provider}`,
  start: (provider: string, site: string) => `${provider} will ask whether ${site} may know who you are.`,
  otherWays: "Other ways to sign in",
  leaving: (provider: string) => `To ${provider}`,
  leavingAbout: (provider: string, host: string) =>
    `You are being taken to ${provider} (${host}), and come back here afterwards.`,
  leave: "Go there now",

  connect: {
    title: "You have an account here",
    about: (provider: string) =>
      `There is an account with the address that ${provider} knows you by. Sign in to it, then it can be connected. Nobody but you should be able to do that, so it is not done by itself.`,
    signIn: (site: string) => `Sign in to ${site} to connect`,
    confirmTitle: (provider: string) => `Connect ${provider}`,
    confirm: (provider: string, label: string | undefined, user: string) =>
      `Whoever can sign in to ${label === undefined ? "this account" : label} at ${provider} will be able to sign in here as ${user}.`,
    submit: "Connect",
    notNow: "Not now",
    anewAbout: "Its address was never confirmed, so it may not be yours. Then go on without it.",
    anew: "Make a new account",
  },

  account: {
    title: "Connected accounts",
    about: "With these you can sign in too.",
    none: "None yet.",
    since: "Connected",
    remove: "Disconnect",
    add: (provider: string) => `Connect ${provider}`,
    noPassword: "You have no password here.",
    setPassword: "Set one",
  },

  firstPassword: {
    title: "Set a password",
    about: "With it you can sign in without the accounts that you have connected.",
    submit: "Set password",
  },
};

export const providerNotices = {
  connected: "The account is connected. You can sign in with it from now on.",
  "connected-already": "That account was connected already.",
  disconnected: "The account is disconnected.",
  "disconnect-last":
    "That is your only way to sign in, so it stays. Set a password or connect another account first.",
  "disconnect-gone": "That account was disconnected already.",
} as const;

export const providerEvents: Readonly<Partial<Record<AuditEventType, () => string>>> = {
  "identity.linked": () => "An account elsewhere was connected, to sign in with",
  "identity.unlinked": () => "An account elsewhere was disconnected",
};
