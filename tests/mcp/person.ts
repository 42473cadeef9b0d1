import assert from "node:assert/strict";

interface Page {
  readonly url: URL;
  readonly html: string;
}

interface Form {
  readonly action: URL;
  readonly fields: URLSearchParams;
}

const stepsMax = 12;

/** Somebody at a browser without scripts: follows what pages lead to, signs in when asked, and agrees to what is shown. */
export function createPerson(credentials: { readonly username: string; readonly password: string }) {
  const jar = new Map<string, string>();
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
      if (/Max-Age=0/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  return {
    /** The text of every page that was seen on the way. */
    pages,

    /** Goes where an application sends the person, and does what it takes. Gives the answer to the application. */
    async letIn(visit: URL, redirectUri: string): Promise<URLSearchParams> {
      let next: { url: URL; form?: URLSearchParams } = { url: visit };
      for (let step = 0; step < stepsMax; step++) {
        const response = await send(next.url, next.form);
        const html = await response.text();
        const location = response.headers.get("location") ?? leadsTo(html);
        if (location !== undefined) {
          const url = new URL(location, next.url);
          if (url.href.startsWith(`${redirectUri}?`)) return url.searchParams;
          next = { url };
          continue;
        }
        assert.equal(response.status, 200, readable(html));
        pages.push(readable(html));
        const form = nextForm({ url: next.url, html }, credentials);
        next = { url: form.action, form: form.fields };
      }
      return assert.fail(`no answer after ${stepsMax} pages: ${pages.join(" | ")}`);
    },
  };
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

/** The form that asks for a password, else the one by which the person agrees. */
function nextForm({ url, html }: Page, { username, password }: { username: string; password: string }): Form {
  const forms = [...html.matchAll(/<form\s[^>]*>[\s\S]*?<\/form>/g)].map(([form]) => form);
  const signIn = forms.find((form) => /<input[^>]*\sname="password"/.test(form));
  const agree = forms.find((form) => /<button[^>]*\svalue="(?:allow|continue)"/.test(form));
  const form = signIn ?? agree ?? assert.fail(`nothing to go on with: ${readable(html)}`);
  const fields = new URLSearchParams();
  for (const [tag] of form.matchAll(/<input\s[^>]*>/g)) {
    const name = attribute(tag, "name");
    if (name !== undefined && attribute(tag, "type") === "hidden")
      fields.set(name, attribute(tag, "value") ?? "");
  }
  if (form === signIn) {
    fields.set("username", username);
    fields.set("password", password);
  } else {
    const [button = ""] = /<button[^>]*\svalue="(?:allow|continue)"[^>]*>/.exec(form) ?? [];
    fields.set(attribute(button, "name") ?? "", attribute(button, "value") ?? "");
  }
  const action = attribute(form.slice(0, form.indexOf(">") + 1), "action");
  return { action: new URL(action ?? "", url), fields };
}
