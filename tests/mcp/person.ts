import assert from "node:assert/strict";

interface Page {
  readonly url: URL;
  readonly html: string;
}

interface Form {
  readonly action: URL;
  readonly fields: URLSearchParams;
}

/** A place, and the form that is posted there. */
interface Visit {
  readonly url: URL;
  readonly form?: URLSearchParams;
}

interface Given {
  readonly username: string;
  readonly password: string;
  readonly code: string | undefined;
}

const stepsMax = 12;

/** Somebody at a browser without scripts: follows what pages lead to, signs in when asked, and agrees to what is shown. */
export function createPerson(credentials: { readonly username: string; readonly password: string }) {
  const jar = new Map<string, string>();
  let secondFactor: string | undefined;
  const pages: string[] = [];

  async function send(url: URL, form?: URLSearchParams): Promise<Response> {
    const headers: Record<string, string> = {
      accept: "text/html",
      "sec-fetch-mode": "navigate",
      "sec-fetch-dest": "document",
      "sec-fetch-site": form === undefined ? "none" : "same-origin",
      ...(form !== undefined && { origin: url.origin }),
      ...(jar.size > 0 && { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join("; ") }),
    };
    const init = { headers, redirect: "manual", signal: AbortSignal.timeout(15_000) } as const;
    const response = await fetch(url, form === undefined ? init : { ...init, method: "POST", body: form });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/Max-Age=0|Expires=Thu, 01 Jan 1970/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  return {
    /** The text of every page that was seen on the way. */
    pages,

    /** Goes where an application sends the person, and does what it takes. Gives the answer to the application. */
    async letIn(visit: URL, redirectUri: string): Promise<URLSearchParams> {
      const { url, form } = await goTo(visit, (next) => next.href.split("?")[0] === redirectUri);
      return form ?? url.searchParams;
    },

    goTo,
    /** Of whoever has a second factor: asked for where a page has a field for it. */
    hasCode(code: string): void {
      secondFactor = code;
    },
  };

  /** Follows what pages lead to until it would come to a place like that; what it would send there is given back. */
  async function goTo(visit: URL | Visit, isThere: (url: URL) => boolean): Promise<Visit> {
    let next: Visit = visit instanceof URL ? { url: visit } : visit;
    for (let step = 0; step < stepsMax; step++) {
      const response = await send(next.url, next.form);
      const html = await response.text();
      const location = response.headers.get("location") ?? leadsTo(html);
      if (location === undefined) {
        assert.equal(response.status, 200, readable(html));
        pages.push(readable(html));
        if (isThere(new URL("#shown", next.url))) return next;
        const given = { ...credentials, code: secondFactor };
        const { action, fields } = nextForm({ url: next.url, html }, { given, isThere });
        next = { url: action, form: fields };
      } else next = { url: new URL(location, next.url) };
      if (isThere(next.url)) return next;
    }
    return assert.fail(`not there after ${stepsMax} pages: ${pages.join(" | ")}`);
  }
}

const unescaped = (text: string) =>
  text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");
const readable = (html: string) =>
  unescaped(html.replace(/<(style|head)[\s\S]*?<\/\1>|<[^>]*>/g, " "))
    .replace(/\s+/g, " ")
    .trim();

/** Where a page leads to by itself. */
function leadsTo(html: string): string | undefined {
  const target = /<meta http-equiv="refresh" content="0; ?url=([^"]*)">/i.exec(html)?.[1];
  return target === undefined ? undefined : unescaped(target);
}

function attribute(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];
  return value === undefined ? undefined : unescaped(value);
}

/** The form that asks for a password or a code, else the one by which the person agrees, or that leads on. */
function nextForm(
  { url, html }: Page,
  { given, isThere }: { given: Given; isThere: (url: URL) => boolean },
): Form {
  const forms = [...html.matchAll(/<form\s[^>]*>[\s\S]*?<\/form>/g)].map(([form]) => form);
  const actionOf = (form: string) =>
    new URL(attribute(form.slice(0, form.indexOf(">") + 1), "action") ?? "", url);
  const asks = forms.find((form) => /<input[^>]*\sname="(?:password|code)"/.test(form));
  const agree = forms.find((form) => /<button[^>]*\svalue="(?:allow|continue)"/.test(form));
  const onward = forms.find((form) => isThere(actionOf(form)));
  const form = asks ?? agree ?? onward ?? assert.fail(`nothing to go on with: ${readable(html)}`);
  const fields = new URLSearchParams();
  for (const [tag] of form.matchAll(/<input\s[^>]*>/g)) {
    const name = attribute(tag, "name");
    if (name === undefined) continue;
    if (attribute(tag, "type") === "hidden") fields.set(name, attribute(tag, "value") ?? "");
    else if (name in given) fields.set(name, given[name as keyof Given] ?? "");
  }
  if (form === agree) {
    const [button = ""] = /<button[^>]*\svalue="(?:allow|continue)"[^>]*>/.exec(form) ?? [];
    fields.set(attribute(button, "name") ?? "", attribute(button, "value") ?? "");
  }
  return { action: actionOf(form), fields };
}
