import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { Session, UserInfo } from "./provider.ts";

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, "Open Sans", sans-serif;
  --ground: light-dark(#f6f5f2, #16171a); --card: light-dark(#fff, #1f2125); --ink: light-dark(#1d1e21, #eceae6);
  --line: light-dark(#dcdad4, #34363d); --accent: light-dark(#2b4fc4, #9db4ff); --on-accent: light-dark(#fff, #10142a); }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: clamp(1rem, 5vw, 3rem) 1rem; max-width: 42rem; background: var(--ground); color: var(--ink); }
h1 { margin: 0 0 1rem; font-size: clamp(1.5rem, 6vw, 2rem); line-height: 1.2; }
nav { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.25rem; margin-bottom: 1.5rem; }
a { color: var(--accent); }
nav a { padding: .4rem 0; }
main { padding: 1.25rem; border: 1px solid var(--line); border-radius: .75rem; background: var(--card); overflow-wrap: anywhere; }
main > :first-child { margin-top: 0; }
main > :last-child { margin-bottom: 0; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .3rem 1rem; }
dt { font-weight: 600; }
dd { margin: 0; }
button { min-height: 2.75rem; padding: .5rem .9rem; border: 1px solid var(--accent); border-radius: .5rem; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
`;

const digest = createHash("sha256").update(style).digest("base64");

/** No script at all. The form that signs out is led on to the issuer, and browsers ask for that as well. */
export const policyFor = (issuer: string) =>
  [
    "default-src 'none'",
    `style-src 'sha256-${digest}'`,
    "img-src data:",
    `form-action 'self' ${new URL(issuer).origin}`,
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
      ${
        session === undefined
          ? html`<a href="/sign-in">Sign in</a>`
          : html`<a href="/profile">Profile</a>
            <form method="post" action="/sign-out"><button>Sign out</button></form>`
      }
    </nav>
    </header>
    <main>${content}</main>
  </body>
</html>`;

export const homePage = (session: Session | undefined, account: string) =>
  page(
    "A web application",
    session,
    session === undefined
      ? html`<p>Nobody is signed in.</p>`
      : html`<p>Signed in as <strong>${session.name}</strong>.</p>
          <p>End this session on <a href="${account}">your account at Keyturn</a>, and load this page again.</p>`,
  );

export const profilePage = (session: Session, info: UserInfo) =>
  page(
    "Profile",
    session,
    html`<p>What Keyturn says of you, asked just now:</p>
      <dl>
        ${Object.entries(info).map(([claim, value]) => html`<dt>${claim}</dt><dd>${String(value)}</dd>`)}
      </dl>
      <p>The tokens were refreshed ${session.turns} times.</p>`,
  );

export const problemPage = (sentence: string) => page("Not signed in", undefined, html`<p>${sentence}</p>`);
