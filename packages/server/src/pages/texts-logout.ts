/** The words of signing out at the request of an application. A part of texts.ts. */
export const logoutTexts = {
  title: "Sign out?",
  question: (person: string, application: string | undefined) =>
    application === undefined
      ? `You are signed in as ${person}. Do you want to sign out here?`
      : `${application} asks whether you want to sign out. You are signed in as ${person}.`,
  what: "You are signed out of this site in this browser, and of the applications that you came to from here.",
  submit: "Sign out",
  stay: "Stay signed in",
  leaving: (application: string) => `Back to ${application}`,
  leavingAbout: (application: string, host: string) =>
    `You are signed out. You are led back to ${application} at ${host}.`,
  leave: "Go on",
  refusedTitle: "This request to sign out is not good",
  refused: {
    hint: "What the application sent to say who you are did not come from this site, so nothing was done.",
    client: "The application that asks is not known here, or says that it is two. Nothing was done.",
    address:
      "The application wants you to go on to an address that it has not registered, so nothing was done.",
  },
  signOut: "Sign out of this site",
} as const;
