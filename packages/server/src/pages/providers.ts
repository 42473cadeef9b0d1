import type { Page, PageAnswer, PageRequest } from "../http/page.ts";
import { answerParameters } from "../providers/flow.ts";
import { callbackPath, isFormPost } from "../providers/provider.ts";
import { connectPages } from "./connect.ts";
import { hidden, postForm } from "./form-parts.ts";
import { answerBegun, answerFinished, type ProviderParts } from "./provider-answers.ts";
import { troublePage } from "./provider-trouble.ts";
import { returnPath } from "./return-to.ts";
import { texts } from "./texts.ts";
import { html } from "./view.ts";

const returnTo = { about: "Where to go on afterwards: a path of this origin; /account otherwise" };
const answerQuery = {
  state: { about: "What was sent along" },
  code: { about: "For the provider's token endpoint" },
  iss: { about: "Who the provider is, RFC 9207" },
  error: { about: "Why there is no code" },
};

/** Signing in with someone else's provider: the way there, and the way back. */
export function providerPages(parts: ProviderParts): Page[] {
  const { view, providerFlow: flow, binderCookie } = parts;
  const words = texts.providers;
  const offeredOf = (request: PageRequest) =>
    parts.providers.offered().find(({ id }) => id === request.path.provider);

  function start(request: PageRequest): PageAnswer {
    const provider = offeredOf(request);
    if (provider === undefined) return troubleOf("unknown_provider", request);
    const { id, label } = provider;
    const to = returnPath(request.field("return_to") || request.query.return_to);
    const title = words.startTitle(label);
    const form = postForm(
      { action: view.url(`/sign-in/with/${id}`), token: request.formToken },
      html`${hidden("return_to", to)}<button>${words.continueWith(label)}</button>`,
    );
    const body = html`<div class="card">
<h1>${title}</h1>
<p>${words.start(label, parts.settings.siteName)}</p>
${form}
</div>
<p class="below"><a href="${view.url("/sign-in", { return_to: to })}">${words.otherWays}</a></p>`;
    return { status: 200, html: view.page({ title, body }) };
  }

  const troubleOf = (
    code: Parameters<typeof troublePage>[1],
    { person }: PageRequest,
    provider?: { readonly label: string },
  ): PageAnswer =>
    troublePage(view, code, {
      isSignedIn: person !== undefined,
      ...(provider && { provider: provider.label }),
    });

  async function begin(request: PageRequest): Promise<PageAnswer> {
    const { path, ip } = request;
    return answerBegun(
      (binder) =>
        flow.begin({
          providerId: path.provider ?? "",
          binder,
          returnTo: returnPath(request.field("return_to")),
          linkTo: undefined,
          ip,
        }),
      { request, parts },
    );
  }

  async function finish(request: PageRequest): Promise<PageAnswer> {
    const { path, query, person, ip, userAgent } = request;
    const finished = await flow.finish({
      providerId: path.provider ?? "",
      parameters: query,
      binder: binderCookie.valueIn(request),
      holder: person,
      arrival: { clientId: parts.clientId, kind: "browser", ip, userAgent },
    });
    parts.metrics.signedIn(`provider_${finished.outcome}`);
    return answerFinished(finished, { request, parts });
  }

  /** Without cookies, for the form came from elsewhere: the same answer again, as a navigation of this browser. */
  function bounce(request: PageRequest): PageAnswer {
    const provider = offeredOf(request);
    if (provider === undefined || !isFormPost(provider)) return { problem: "not_found" };
    const given = answerParameters.map((name) => [name, request.field(name)] as const);
    const query = Object.fromEntries(given.filter(([, value]) => value !== ""));
    return { location: view.url(callbackPath(provider.id), query) };
  }

  return [
    {
      method: "GET",
      path: "/sign-in/with/:provider",
      summary: "Asks whether to go to the provider: the address for links that lead to signing in with it",
      access: "anyone",
      tokenOf: "browser",
      query: { return_to: returnTo },
      handle: start,
    },
    {
      method: "POST",
      path: "/sign-in/with/:provider",
      summary: "Leads to the provider",
      access: "anyone",
      tokenOf: "browser",
      fields: { return_to: returnTo },
      handle: begin,
      again: (request) => {
        const page = start(request);
        return "html" in page && page.status === 200 ? { ...page, status: 403 } : page;
      },
    },
    {
      method: "GET",
      path: "/sign-in/with/:provider/callback",
      summary: "Where the provider leads back to: signs in, or connects",
      access: "anyone",
      query: answerQuery,
      handle: finish,
    },
    {
      method: "POST",
      path: "/sign-in/with/:provider/callback",
      summary: "The same for a provider that sends a form (Apple); leads on to the page before",
      access: "anyone",
      fromElsewhere: true,
      fields: answerQuery,
      handle: bounce,
    },
    ...connectPages(parts),
  ];
}
