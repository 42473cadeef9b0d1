import type { AuditEventType } from "../audit/events.ts";

/** The words of what people do by mail. A part of texts.ts. */
export const mailTexts = {
  lookForIt: (minutes: number) =>
    `It may take a minute. Look among the unwanted mail too. The letter is good for ${minutes} minutes.`,
  toSignIn: "Back to signing in",
  linkGoneTitle: "This link is no longer good",
  linkGone: "It was used, it is too old, or a newer one has taken its place. Ask for a new letter.",

  forgotten: {
    link: "Forgotten your password?",
    title: "Forgotten your password",
    about: "Type the e-mail address of your account. You will be sent a link to choose a new password.",
    submit: "Send me a link",
    sentTitle: "Look into your mailbox",
    sent: "If that address is confirmed for an account here, a letter with a link is on its way.",
  },

  reset: {
    title: "Choose a new password",
    about: (username: string) => `For the account ${username}.`,
    endSessions: "Sign out everywhere",
    endSessionsHint: "Whoever knows the old password may be signed in somewhere.",
    submit: "Set this password",
    doneTitle: "Your password is changed",
    done: "Sign in with it. If you have a second factor, you will be asked for it as before.",
    signIn: "Sign in",
  },

  signIn: {
    link: "Send me a link to sign in",
    title: "Sign in by mail",
    about: "Type the e-mail address of your account. You will be sent a link and six digits.",
    submit: "Send me a letter",
    sentTitle: "Look into your mailbox",
    sent: "If that address is confirmed for an account here, a letter is on its way. Follow its link, or type its six digits here.",
    codeLabel: "Six digits",
    codeSubmit: "Sign in",
    again: "Ask for another letter",
    wrong: "These are not the digits of the newest letter, or they were used or tried too often.",
    linkTitle: "Sign in?",
    linkAbout: (site: string, username: string) => `This signs you in to ${site} as ${username}.`,
    linkWarning:
      "Go on only if you have asked for this letter yourself. Nobody else should send you such a link.",
    linkSubmit: (username: string) => `Sign in as ${username}`,
    takesPlace: (name: string) => `It takes the place of ${name}, who is signed in in this browser.`,
  },

  address: {
    title: "E-mail address",
    about: "To find back into your account, and to be told when something happens to it.",
    none: "Your account has none.",
    confirmed: (email: string) => `${email} is confirmed.`,
    open: (email: string) =>
      `${email} is not confirmed yet. Follow the link of the letter to it, or type its six digits here. If none came, send it again.`,
    codeLabel: "Six digits",
    codeSubmit: "Confirm",
    sendAgain: "Send the letter again",
    change: "Change address",
    add: "Add an address",
  },

  change: {
    title: "Your e-mail address",
    now: (email: string) => `It is ${email} now.`,
    about:
      "A link is sent to the new address. Nothing changes until you follow it. The address of now is told of it.",
    label: "New e-mail address",
    submit: "Send a link to it",
    back: "Back to your account",
  },

  confirm: {
    title: "Confirm your address",
    verify: (email: string) => `Is ${email} your address? Then it is confirmed for your account.`,
    change: (email: string) => `${email} becomes the address of your account.`,
    as: (username: string) => `You are signed in as ${username}.`,
    submit: "Yes, this is my address",
    otherTitle: "This link is for another account",
    other: (username: string) =>
      `You are signed in as ${username}. Sign in to the account that the link was made for, then follow it again.`,
    someoneElse: "Sign in as someone else",
    taken: "This address belongs to another account by now, so yours was not changed.",
    takenTitle: "This address is taken",
    account: "Your account",
  },
} as const;

export const mailNotices = {
  "address-confirmed": "Your address is confirmed.",
  "address-changed": "Your address is changed, and confirmed.",
  "address-asked": "A letter is on its way. Nothing changes until you follow its link.",
  "address-same": "That is your address already.",
  "address-sent": "The letter is on its way. Its digits take the place of those before.",
  "address-none": "There is no address to confirm.",
  "address-wrong": "These are not the digits of the newest letter, or they were used or tried too often.",
  "address-wait": "Too many attempts. Wait some minutes, then try again, or follow the link of the letter.",
} as const;

export const mailEvents: Readonly<Partial<Record<AuditEventType, () => string>>> = {
  "email.code_made": () => "A letter with a link was sent to you",
  "email.change_asked": () => "You asked for another e-mail address",
  "email.changed": () => "You changed your e-mail address",
  "email.released": () =>
    "Your e-mail address was taken off your account: you had not confirmed it, and its owner has confirmed it for another account",
  "email.verified": () => "You confirmed your e-mail address",
};
