import type { Page, PageAnswer, PageRequest, Person } from "../http/page.ts";
import { unreachable } from "../primitives/assert.ts";
import { postForm } from "./form-parts.ts";
import { card, linkGone, type MailParts } from "./mail-parts.ts";
import { texts } from "./texts.ts";
import { html } from "./view.ts";

const PATH = "/email/confirm";

/**
 * GET and POST /email/confirm, where links that confirm an address lead. A GET changes nothing: programs that look into
 * mailboxes follow links. And the button works for who is signed in to the account alone: see docs/adr/0017.
 */
export function confirmAddressPages({ view, mailing, mailCookies }: MailParts): Page[] {
  const words = texts.mail.confirm;
  const link = mailCookies.confirmLink;
  const gone = (): PageAnswer => ({
    ...linkGone(view, { path: "/account", label: words.account }),
    cookies: [link.clear()],
  });

  function other({ user }: Person): PageAnswer {
    const signIn = view.url("/sign-in", { as: "someone-else", return_to: view.url(PATH) });
    const body = card(
      words.otherTitle,
      html`<p>${words.other(user.username)}</p>
<p class="actions"><a class="button" href="${signIn}">${words.someoneElse}</a><a class="button quiet" href="${view.url("/account")}">${words.account}</a></p>`,
    );
    return { status: 403, html: view.page({ title: words.otherTitle, body, isError: true }) };
  }

  function taken(): PageAnswer {
    const body = card(
      words.takenTitle,
      html`<p>${words.taken}</p>
<p class="actions"><a class="button quiet" href="${view.url("/account")}">${words.account}</a></p>`,
    );
    return {
      status: 409,
      html: view.page({ title: words.takenTitle, body, isError: true }),
      cookies: [link.clear()],
    };
  }

  /** Through signing in, and back here: the link waits in its cookie. */
  const signInFirst = (): PageAnswer => ({ location: view.url("/sign-in", { return_to: view.url(PATH) }) });

  async function show(request: PageRequest): Promise<PageAnswer> {
    const { query, person, formToken: token } = request;
    if (query.token !== undefined) return { location: view.url(PATH), cookies: [link.set(query.token)] };
    const secret = link.valueIn(request);
    if (secret === undefined) return gone();
    if (person === undefined) return signInFirst();
    const code = await mailing.addresses.find(secret);
    if (code === undefined) return gone();
    if (code.userId !== person.user.id) return other(person);
    const sentence = code.purpose === "change_address" ? words.change : words.verify;
    const body = card(
      words.title,
      html`<p>${sentence(code.email)}</p>
<p class="muted">${words.as(person.user.username)}</p>
${postForm({ action: view.url(PATH), token }, html`<button>${words.submit}</button>`)}`,
    );
    return { status: 200, html: view.page({ title: words.title, body }) };
  }

  async function submit(request: PageRequest): Promise<PageAnswer> {
    const { person, ip } = request;
    if (person === undefined) return signInFirst();
    const by = { userId: person.user.id, ip };
    const confirmed = await mailing.addresses.confirmByLink(link.valueIn(request) ?? "", by);
    switch (confirmed.outcome) {
      case "verified":
        return { location: view.url("/account", { notice: "address-confirmed" }), cookies: [link.clear()] };
      case "changed":
        return { location: view.url("/account", { notice: "address-changed" }), cookies: [link.clear()] };
      case "other_account":
        return other(person);
      case "email_taken":
        return taken();
      case "invalid_mail_code":
      case "too_many_attempts":
        return gone();
      default:
        return unreachable(confirmed);
    }
  }

  const base = { access: "anyone", path: PATH, besideEndpoint: true } as const;
  return [
    {
      ...base,
      method: "GET",
      summary: "Where a link to confirm an address leads: sets its secret aside in a cookie, then asks",
      query: { token: { about: "The secret of the link" } },
      handle: show,
    },
    {
      ...base,
      method: "POST",
      summary: "Confirms the address, for who is signed in to the account that the link was made for",
      handle: submit,
      // Nobody was signed in when the form was made, or somebody else.
      again: (request: PageRequest): PageAnswer =>
        request.person === undefined ? signInFirst() : { problem: "form_out_of_date" },
    },
  ];
}
