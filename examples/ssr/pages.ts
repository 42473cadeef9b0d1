import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { Keyturn } from "keyturn";

/** Who is signed in, as Keyturn tells it. */
export type Session = NonNullable<Awaited<ReturnType<Keyturn["session"]>>>;

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, "Open Sans", sans-serif;
  --ground: light-dark(#f6f5f2, #16171a); --card: light-dark(#fff, #1f2125); --ink: light-dark(#1d1e21, #eceae6);
  --line: light-dark(#dcdad4, #34363d); --accent: light-dark(#2b4fc4, #9db4ff); --on-accent: light-dark(#fff, #10142a); }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: clamp(1rem, 5vw, 3rem) 1rem; max-width: 42rem; background: var(--ground); color: var(--ink); }
h1 { margin: 0 0 1rem; font-size: clamp(1.5rem, 6vw, 2rem); line-height: 1.2; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin-bottom: 1.5rem; }
a { color: var(--accent); }
nav a { padding: .4rem 0; }
main { padding: 1.25rem; border: 1px solid var(--line); border-radius: .75rem; background: var(--card); overflow-wrap: anywhere; }
main > :first-child { margin-top: 0; }
main > :last-child { margin-bottom: 0; }
form { display: grid; gap: .75rem; margin: 1rem 0; }
label { display: grid; gap: .3rem; font-weight: 600; }
input, button { min-height: 2.75rem; padding: .5rem .9rem; border: 1px solid var(--accent); border-radius: .5rem; background: var(--card); color: inherit; font: inherit; }
button { justify-self: start; background: var(--accent); color: var(--on-accent); font-weight: 600; cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.pictures { display: flex; flex-wrap: wrap; gap: .5rem; }
`;

const digest = createHash("sha256").update(style).digest("base64");

/** No script at all, the one style by its hash, forms and pictures of this site only. */
export const policy = [
  "default-src 'none'",
  `style-src 'sha256-${digest}'`,
  "img-src 'self' data:",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

type Text = ReturnType<typeof html>;

// What stands in \${…} of html is escaped.
const page = (title: string, session: Session | undefined, content: Text) => html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${title}</title>
    <link rel="icon" href="data:,">
    <style>${raw(style)}</style>
  </head>
  <body>
    <header>
    <h1>${title}</h1>
    <nav aria-label="Site">
      <a href="/">Home</a>
      <a href="/notes">Notes</a>
      ${
        session === undefined
          ? html`<a href="/auth/sign-in?return_to=/notes">Sign in</a> <a href="/auth/sign-up?return_to=/notes">Make an account</a>`
          : html`<a href="/auth/account">Your account</a> <a href="/auth/sign-out">Sign out</a>`
      }
    </nav>
    </header>
    <main>${content}</main>
  </body>
</html>`;

export const homePage = (session: Session | undefined) =>
  page(
    "Keyturn on a server",
    session,
    session === undefined
      ? html`<p>Nobody is signed in. This page and all others are made on the server, without a script.</p>`
      : html`<p>Signed in as <strong>${session.user.username}</strong>.</p>
          <p>Five pictures, asked for at the same time, each of which asks who is there:</p>
          <p class="pictures">${[1, 2, 3, 4, 5].map((number) => html`<img src="/pictures/${number}" width="64" height="64" alt="Picture ${number}">`)}</p>`,
  );

export const notesPage = (session: Session, notes: readonly string[]) =>
  page(
    "Notes",
    session,
    html`<form method="post" action="/notes">
        <label>A new note <input name="note" maxlength="500" required autocomplete="off"></label>
        <button>Keep it</button>
      </form>
      ${notes.length === 0 ? html`<p>No notes yet.</p>` : html`<ul>${notes.map((note) => html`<li>${note}</li>`)}</ul>`}`,
  );

export const problemPage = (sentence: string) =>
  page("That did not work", undefined, html`<p>${sentence}</p>`);

/** A circle with the person's first letter, in one of five colours. */
export function picture(username: string, number: string): string {
  const hue = (Number(number) || 0) * 72;
  const letter = username
    .slice(0, 1)
    .toUpperCase()
    .replace(/[^\p{L}\p{N}]/u, "?");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><circle cx="32" cy="32" r="30" fill="hsl(${hue} 60% 35%)"/><text x="32" y="42" fill="#fff" font-family="sans-serif" font-size="28" text-anchor="middle">${letter}</text></svg>`;
}
