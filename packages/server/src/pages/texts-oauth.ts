import type { AuditEventType } from "../audit/events.ts";

/** The words of letting applications in. A part of texts.ts. */

interface Trouble {
  readonly title: string;
  readonly text: string;
}

const trouble = {
  unknown_client: {
    title: "This application is not known here",
    text: "Whoever sent you here is not registered on this site, or the address is damaged. Nothing was done. Go back to the application and begin again; if it keeps happening, tell its makers.",
  },
  not_for_people: {
    title: "This application cannot sign anybody in",
    text: "It is registered on this site, but not for signing people in. Nothing was done. Tell its makers.",
  },
  redirect_uri_missing: {
    title: "This application does not say where to go on",
    text: "It has several addresses and must name one of them. Nothing was done. Tell its makers.",
  },
  redirect_uri_unknown: {
    title: "This does not lead where it should",
    text: "The application wants you to be sent to an address that it has not registered here. That may be a mistake, or somebody may want to deceive you. Nothing was done, and nobody was told anything.",
  },
  request_unknown: {
    title: "Please begin again",
    text: "This was done already, or it took too long. Go back to the application and begin again.",
  },
  too_many: {
    title: "Too much is going on just now",
    text: "Too many requests came from where you are. Wait a minute, then begin again.",
  },
} as const satisfies Readonly<Record<string, Trouble>>;

/** What the scopes mean that every server of this kind has. Those of APIs are shown by their name. */
const scopes: Readonly<Record<string, string>> = {
  openid: "Know that it is you, each time you come",
  profile: "See your name and your username",
  email: "See your e-mail address",
  offline_access: "Go on while you are not there, until you withdraw it",
};

export const oauthTexts = {
  trouble,

  consent: {
    title: (client: string) => `${client} asks for access`,
    signedInAs: (name: string) => `You are signed in as ${name}.`,
    someoneElse: "Not you?",
    wants: (client: string) => `If you allow it, ${client} may:`,
    scope: (scope: string): string | undefined => scopes[scope],
    otherScope: "Use",
    at: "At",
    leadsTo: (place: string) => `You will go on to ${place}.`,
    onThisDevice: "a program on this device",
    appOnThisDevice: (scheme: string) => `an app on this device (${scheme})`,
    unchecked:
      "Nobody on this site has checked this application: it has registered itself, and its name may be anybody's. Allow it only if you know the address above, and have just begun this there yourself.",
    publishedAt: (host: string) => `It is published at ${host}.`,
    later: "You can withdraw this on your account page at any time.",
    allow: "Allow",
    deny: "Do not allow",
  },

  choice: {
    title: "Choose an account",
    about: (client: string) => `Who do you want to be for ${client}?`,
    goOnAs: (name: string) => `Continue as ${name}`,
    someoneElse: "Use another account",
  },

  leaving: {
    title: (place: string) => `On to ${place}`,
    about: "If nothing happens, follow the link.",
    formAbout: "Press the button to go on.",
    submit: "Continue",
  },

  account: {
    title: "Applications",
    about: "What you have let in to your account. Withdraw what you do not know or no longer use.",
    gone: "An application that is gone",
    since: "Let in",
    lastUsed: "last used",
    withdraw: "Withdraw",
  },
};

export const oauthNotices = {
  withdrawn: "That application can no longer use your account.",
  "withdrawn-already": "That application had no access any more.",
} as const;

export const oauthEvents: Readonly<Partial<Record<AuditEventType, () => string>>> = {
  "consent.granted": () => "You let an application in",
  "consent.withdrawn": () => "You withdrew what an application was allowed",
  "code.reused": () => "An application was signed out, because its sign-in was tried twice",
};
