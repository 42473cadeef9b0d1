import type { AuditEventType } from "../audit/events.ts";

/** The words of letting a device in that has no browser. A part of texts.ts. */
export const deviceTexts = {
  title: "Let a device in",
  about: "Your device shows a code of eight letters. Type it here.",
  codeLabel: "Code on your device",
  codeHint: "For example BCDF-GHJK. Capitals and the hyphen do not matter.",
  next: "Go on",
  unknown: "This code is not waiting here: it may be mistyped, used already or too old. Look at your device.",
  missing: "Type the code that your device shows.",
  question: (client: string) => `Let ${client} in?`,
  compare: "Your device must show exactly this code:",
  warning:
    "Go on only if this is a device in front of you and you have just asked it to sign in. If somebody sent you this code or a link to this page, deny: they would be let in as you.",
  asks: "It will be able to:",
  asUser: (name: string) => `You are signed in as ${name}.`,
  allow: "Let it in",
  deny: "Deny",
  allowedTitle: "The device is let in",
  allowed:
    "It signs in within a few seconds; you can close this page. It is in the list of your devices, where you can sign it out at any time.",
  deniedTitle: "The device was denied",
  denied: "It was not let in. If you did not start this yourself, somebody tried to be let in as you.",
  devices: "Your devices",
  another: "Another code",
  scopes: {
    openid: "know who you are",
    profile: "see your name",
    email: "see your e-mail address",
    offline_access: "stay signed in when you are not there",
  } as Readonly<Record<string, string>>,
  otherScope: (scope: string) => `use “${scope}”`,
} as const;

export const deviceEvents: Readonly<Partial<Record<AuditEventType, () => string>>> = {
  "device.allowed": () => "You let a device in by its code",
  "device.denied": () => "You denied a device that asked by a code",
};
