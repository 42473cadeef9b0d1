import type { Page } from "../http/page.ts";
import { nameOf } from "./sign-in.ts";
import { texts } from "./texts.ts";
import { html, type View } from "./view.ts";

interface Parts {
  readonly view: View;
  readonly version: string;
  readonly settings: {
    readonly issuer: string;
    readonly siteName: string;
    readonly registration: "open" | "off";
  };
}

/** GET / for a browser. */
export function homePage({ view, version, settings }: Parts): Page {
  const words = texts.home;
  const links = [
    [words.links.openapi, "/openapi.json"],
    [words.links.discovery, "/.well-known/openid-configuration"],
    [words.links.jwks, "/.well-known/jwks.json"],
    [words.links.health, "/healthz"],
  ].map(([label = "", path = ""]) => html`<li><a href="${view.url(path)}">${label}</a></li>`);
  const developers = html`<details class="below"><summary>${words.developers}</summary>
<p>${words.version(version)} · <code>${settings.issuer}</code></p>
<ul class="links">${links}</ul></details>`;
  const signUp =
    settings.registration === "open" &&
    html`<a class="button quiet" href="${view.url("/sign-up")}">${words.signUp}</a>`;

  return {
    method: "GET",
    path: "/",
    summary: "For a browser: the way to sign in, and to the account",
    access: "anyone",
    besideEndpoint: true,
    handle({ person }) {
      const inside = person
        ? html`<p>${words.signedIn(nameOf(person))}</p>
<p class="actions"><a class="button" href="${view.url("/account")}">${words.account}</a><a class="button quiet" href="${view.url("/sign-out")}">${texts.nav.signOut}</a></p>`
        : html`<p>${words.about}</p>
<p class="actions"><a class="button" href="${view.url("/sign-in")}">${words.signIn}</a>${signUp}</p>`;
      const body = html`<div class="card">
<h1>${words.welcome(settings.siteName)}</h1>
${inside}
</div>
${developers}`;
      return { status: 200, html: view.page({ title: settings.siteName, body }) };
    },
  };
}
