/** The words of pages/texts.ts that are about second factors. */
export const factorTexts = {
  account: {
    title: "Signing in safely",
    about: "A passkey or an app on your phone keeps others out, even if they know your password.",
    open: "Passkeys and codes",
  },

  passkeyButton: "Use a passkey",
  passkeyProblem: "That did not work. Try again, or go on another way.",

  secondStep: {
    title: "One more step",
    about: "The first step is done. Now prove it by your second factor too.",
    aboutCode: "Type the six digits that your authenticator app shows, or one of your recovery codes.",
    aboutRecovery: "Type one of your recovery codes.",
    codeLabel: "Code",
    submit: "Sign in",
    passkey: "Use a passkey",
    wrong: "The code is not right, or was used already. Wait for the next one, or use a recovery code.",
    back: "Begin again",
  },

  enrol: {
    title: "Set up a second factor",
    about: "Your account needs one more proof besides the password. Do this once; then you are signed in.",
  },

  totp: {
    title: "Authenticator app",
    scan: "Scan this with an authenticator app, then type the six digits that it shows.",
    qr: "QR code for an authenticator app",
    secret: "Or type this into the app:",
    codeLabel: "Code from the app",
    submit: "Switch on",
    wrong: "That is not the code that the app shows now. Check the clock of your phone and try again.",
  },

  codes: {
    title: "Your recovery codes",
    about:
      "Each signs you in once, in place of a passkey or the app, should you lose them. Print them or write them down: they are shown only now.",
    proceed: "I have kept them",
  },

  recover: {
    link: "Lost your passkey?",
    title: "Come back by a recovery code",
    about:
      "If a passkey was your only way to sign in, one of the recovery codes that you kept signs you in. If you have a password or sign in with a provider, use that.",
    codeLabel: "Recovery code",
    submit: "Sign in",
    missing: "Type your name and one of your recovery codes.",
    wrong: "That name and that code do not sign in. Check both; each code works once.",
    back: "Other ways to sign in",
    nextTitle: "Get a new way to sign in now",
    next: "You came back by a recovery code. Add a passkey or set a password, and remove the passkey that you lost. You can do that for the next minutes.",
    addPasskey: "Passkeys and codes",
    setPassword: "Set a password",
  },

  stepUp: {
    title: "Is it you?",
    about: "What you are about to do is for you alone. Prove again who you are.",
    codeLabel: "Code from your app, or a recovery code",
    submit: "Continue",
    passkey: "Use a passkey",
    wrong: "That is not right. Check it and try again.",
    cancel: "Back to your account",
  },

  page: {
    title: "Signing in safely",
    back: "Back to your account",
    passkeys: "Passkeys",
    passkeysAbout: "Sign in by fingerprint, face or the lock of your device, without a password.",
    noPasskeys: "You have none yet.",
    added: "added",
    used: "last used",
    neverUsed: "not used yet",
    nameLabel: "Name",
    nameOf: (name: string) => `New name of ${name}`,
    rename: "Rename",
    remove: "Remove",
    addLabel: "Name of the new passkey",
    addHint: "So that you know it again: “work laptop”.",
    add: "Add a passkey",
    needsScript: "Adding a passkey needs scripts, and a browser that knows passkeys.",
    proveFirst: "To change anything here, prove first that it is you.",
    prove: "Prove it",
    app: "Authenticator app",
    appOn: "It is on: signing in by password asks for a code too.",
    appOff: "An app on your phone shows a new code every half minute.",
    appAdd: "Set up an app",
    recovery: "Recovery codes",
    recoveryLeft: (count: number) =>
      count === 1 ? "One code is left. Make new ones soon." : `${count} codes are left.`,
    recoveryNone: "You get them with your first passkey or app.",
    recoveryNew: "Make new codes",
    recoveryNewHint: "The old ones stop working.",
  },

  notices: {
    "proven-now": "Thank you. Now do once more what you wanted to do.",
    "passkey-added": "The passkey is added.",
    "passkey-refused": "The passkey could not be added. Try again.",
    "passkey-renamed": "The passkey has its new name.",
    "factor-removed": "It is removed.",
    "factor-gone": "It was removed already.",
    "passkey-last": "This passkey is your only way to sign in. Set a password or add another way first.",
    "app-added": "The authenticator app is on.",
  },

  events: {
    "passkey.added": "You added a passkey",
    "passkey.removed": "You removed a passkey",
    "passkey.counter_went_back":
      "A passkey may have been copied, so it was refused. Remove it if you do not know why",
    "totp.added": "You set up an authenticator app",
    "totp.removed": "You removed your authenticator app",
    "recovery_codes.made": "You made new recovery codes",
    "recovery_code.used": "A recovery code was used",
    "second_factor.failed": "Somebody tried a wrong code",
    "second_factor.limited": "Many wrong codes were tried, so they were slowed down",
  },
  eventsByOperator: {
    "passkey.removed": "The operator of this site removed your passkeys",
    "totp.removed": "The operator of this site removed your authenticator app",
  },
} as const;

/** The sentences of events, by who did it. */
export function factorEvents() {
  const byOperator: Readonly<Record<string, string>> = factorTexts.eventsByOperator;
  return Object.fromEntries(
    Object.entries(factorTexts.events).map(([type, sentence]) => [
      type,
      (facts: { readonly byOperator: boolean }) =>
        (facts.byOperator ? byOperator[type] : undefined) ?? sentence,
    ]),
  );
}
