import { isLoopbackAddress } from "../http/address.ts";
import type { Page, PageAnswer, PageRequest } from "../http/page.ts";
import type { OutboxFolder } from "../mail/outbox-folder.ts";
import type { Message } from "../mail/transport.ts";
import { isLoopback } from "../primitives/loopback.ts";
import { outboxTexts as words } from "./texts-outbox.ts";
import { type Html, html, type View } from "./view.ts";

interface Parts {
  readonly view: View;
  readonly mail: { readonly outboxFolder: OutboxFolder | undefined };
}

/** A mail shown by itself: nothing in it runs, and nothing is loaded. Its links may be opened. */
const MAIL_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-top-navigation-by-user-activation allow-popups allow-popups-to-escape-sandbox";

/** The mails of development, with the links in them. On any other server there is no such page. */
export function outboxPages({ view, mail }: Parts): Page[] {
  /** Given only to a browser on this machine that means this machine. */
  function folderFor(request: PageRequest): OutboxFolder | undefined {
    return isOfThisMachine(request) ? mail.outboxFolder : undefined;
  }

  async function find(request: PageRequest): Promise<Message | undefined> {
    return folderFor(request)?.find(request.path.id ?? "");
  }

  const show = (title: string, body: Html): PageAnswer => ({
    status: 200,
    html: view.page({ title, body, isWide: true }),
  });

  return [
    {
      method: "GET",
      path: "/outbox",
      summary: "Development only, from this machine only: the mails that were not sent",
      access: "anyone",
      async handle(request) {
        const folder = folderFor(request);
        if (folder === undefined) return { problem: "not_found" };
        const mails = await folder.list();
        const rows = mails.map(
          ({ id, to, subject, at }) => html`<li><div>
<p><a href="${view.url(`/outbox/${id}`)}">${subject}</a></p>
<p class="muted">${words.to} ${to} · ${timeOf(at)}</p>
</div></li>`,
        );
        const list = rows.length === 0 ? html`<p>${words.none}</p>` : html`<ul class="rows">${rows}</ul>`;
        return show(words.title, html`<h1>${words.title}</h1><p class="muted">${words.about}</p>${list}`);
      },
    },
    {
      method: "GET",
      path: "/outbox/:id",
      summary: "Development only: one mail as text, with its links",
      access: "anyone",
      async handle(request) {
        const found = await find(request);
        if (found === undefined) return { problem: "not_found" };
        const { id, to, subject, at, text } = found;
        const links = linksIn(text).map((link) => html`<li><a href="${link}">${link}</a></li>`);
        const body = html`<p><a href="${view.url("/outbox")}">${words.back}</a></p>
<h1>${subject}</h1>
<p class="muted">${words.to} ${to} · ${timeOf(at)}</p>
<pre>${text}</pre>
<h2>${words.links}</h2>
<ul class="links">${links}</ul>
<p><a href="${view.url(`/outbox/${id}/html`)}">${words.asHtml}</a></p>`;
        return show(subject, body);
      },
    },
    {
      method: "GET",
      path: "/outbox/:id/html",
      summary: "Development only: one mail as HTML, in a sandbox",
      access: "anyone",
      async handle(request) {
        const found = await find(request);
        if (found === undefined) return { problem: "not_found" };
        return { status: 200, html: found.html, headers: { "Content-Security-Policy": MAIL_POLICY } };
      },
    },
  ];
}

/**
 * From this machine, not by way of a proxy, and under a name of this machine: a site whose name has come to mean
 * 127.0.0.1 (DNS rebinding) must not read the links.
 */
function isOfThisMachine({ ip, header }: PageRequest): boolean {
  if (!isLoopbackAddress(ip) || header("x-forwarded-for") !== undefined) return false;
  const host = `http://${header("host") ?? ""}`;
  return URL.canParse(host) && isLoopback(new URL(host).hostname);
}

function timeOf(at: number): Html {
  const iso = new Date(at).toISOString();
  return html`<time datetime="${iso}">${words.time(iso)}</time>`;
}

/** Addresses that stand on a line by themselves: only our own templates write those. */
function linksIn(text: string): string[] {
  return text.split("\n").filter((line) => /^https?:\/\/\S+$/.test(line) && URL.canParse(line));
}
