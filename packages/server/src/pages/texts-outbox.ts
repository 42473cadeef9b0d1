/** The words of the development outbox. A part of texts.ts. */
export const outboxTexts = {
  title: "Mails of this development server",
  about:
    "Nothing leaves this machine: what would be mailed is kept here, the newest first. Only this machine sees this page.",
  none: "No mail yet.",
  to: "To",
  time: (iso: string) => `${iso.slice(0, 19).replace("T", " ")} UTC`,
  back: "All mails",
  asHtml: "Show the HTML by itself",
  links: "Links in it",
};
