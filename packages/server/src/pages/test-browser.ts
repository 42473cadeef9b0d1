import assert from "node:assert/strict";
import type { Call, Reply, TestServer } from "../test-server.ts";

/** A browser without scripts: it keeps cookies and fills in the forms that it was shown. */

const POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** Of pages that have the script of passkeys. */
const POLICY_WITH_SCRIPT = `${POLICY}; script-src 'self'; connect-src 'self'`;
/** Of a page that sends a form to an application (response_mode=form_post). */
const POLICY_SENDING = `${POLICY}; script-src 'self'`;
const POLICY_ELSEWHERE = /; form-action [a-z][a-z0-9+.-]*:;/;
const SCRIPT = /\n<script src="[^"]*\/assets\/(keyturn|form-post)-[0-9a-f]+\.js" defer><\/script>/;

export const PASSWORD = "correct horse battery";

export type TestBrowser = ReturnType<typeof testBrowser>;

export function testBrowser(server: TestServer, always: Readonly<Record<string, string>> = {}) {
  const cookies = new Map<string, string>();

  async function send(path: string, call: Call = {}): Promise<Reply> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { accept: "text/html", ...(cookie && { cookie }), ...always, ...call.headers };
    const reply = await server.call(path, { ...call, headers });
    for (const line of reply.headers.getSetCookie()) keep(line);
    assertPage(reply, path);
    return reply;
  }

  function keep(line: string): void {
    const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
    if (/; Max-Age=0(;|$)/.test(line)) cookies.delete(name);
    else cookies.set(name, value);
    if (value.length >= 8) server.secrets.add(value);
  }

  /** Posts fields as they are. */
  const post = (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    send(path, {
      body: new URLSearchParams(fields).toString(),
      method: "POST",
      headers: { ...FORM, ...headers },
    });

  return {
    cookies,
    send,
    post,
    open: (path: string, headers: Record<string, string> = {}) => send(path, { headers }),

    /** Fills in the form of the page that leads to `action`, and sends it from this origin. */
    submit(page: Reply, action: string, fields: Record<string, string> = {}): Promise<Reply> {
      const form = formOf(page, action);
      return post(action, { ...form, ...fields }, { "sec-fetch-site": "same-origin" });
    },

    /** Where the page leads on to. */
    follow(reply: Reply): Promise<Reply> {
      assert.equal(reply.status, 303, reply.text);
      return send(reply.headers.get("location") ?? "");
    },

    async signIn(username: string, password = PASSWORD): Promise<Reply> {
      const page = await send("/sign-in?as=someone-else");
      const reply = await this.submit(page, "/sign-in", { username, password });
      assert.equal(reply.status, 303, reply.text);
      return reply;
    },
  };
}

export const FORM = { "content-type": "application/x-www-form-urlencoded" };

/** What a form sends when nothing is filled in; the first one that leads there, or the one that holds `holding`. */
export function formOf(page: Reply, action: string, holding = ""): Record<string, string> {
  const forms = [
    ...page.text.matchAll(/<form method="post" action="([^"]*)" novalidate>([\s\S]*?)<\/form>/g),
  ];
  const form = forms.find(([, to, inner = ""]) => to === action && inner.includes(holding));
  assert.ok(form, `the page has no form for ${action}`);
  const fields: Record<string, string> = {};
  for (const [input] of (form[2] ?? "").matchAll(/<input [^>]*>/g)) {
    const attribute = (name: string) => new RegExp(` ${name}="([^"]*)"`).exec(input)?.[1];
    const name = attribute("name");
    if (name === undefined || (attribute("type") === "checkbox" && !/ checked/.test(input))) continue;
    fields[name] = unescaped(attribute("value") ?? "");
  }
  return fields;
}

/** The text of a page as a person reads it. */
export function readable({ text }: Reply): string {
  const body = text.slice(text.indexOf("<body"));
  return unescaped(body.replaceAll(/<svg[\s\S]*?<\/svg>/g, "").replaceAll(/<[^>]*>/g, " ")).replaceAll(
    /\s+/g,
    " ",
  );
}

function unescaped(text: string): string {
  const marks: Record<string, string> = {
    "&lt;": "<",
    "&gt;": ">",
    "&quot;": '"',
    "&#39;": "'",
    "&amp;": "&",
  };
  return text.replaceAll(/&(?:lt|gt|quot|#39|amp);/g, (mark) => marks[mark] ?? mark);
}

/** Shows the place only: a whole page says nothing. */
export function assertLacks(text: string, pattern: RegExp): void {
  const at = text.search(pattern);
  assert.ok(at < 0, `${pattern} is in the page: ${text.slice(Math.max(0, at - 60), at + 100)}`);
}

/** What is so of every page: its headers, and that nothing in it runs, loads or came out half made. */
export function assertPage({ status, headers, text }: Reply, path = ""): void {
  // The authorization endpoint alone leads to addresses of others.
  const isOauth = /^(\/auth)?\/oauth\/authorize/.test(path);
  const sent = headers.get("content-security-policy") ?? "";
  const policy = isOauth ? sent.replace(POLICY_ELSEWHERE, "; form-action 'self';") : sent;
  const isSending = isOauth && sent !== policy && policy === POLICY_SENDING;
  assert.ok(policy === POLICY || policy === POLICY_WITH_SCRIPT || isSending, `the policy is ${policy}`);
  assert.equal(headers.get("referrer-policy"), "same-origin");
  const opener = headers.get("cross-origin-opener-policy");
  const isOnTheWay = /^(\/auth)?\/(oauth\/authorize|sign-in|sign-up|step-up)([/?]|$)/.test(path);
  assert.ok(opener === "same-origin" || (isOnTheWay && opener === "unsafe-none"), `${path}: ${opener}`);
  assert.equal(headers.get("cross-origin-resource-policy"), "same-origin");
  assert.equal(headers.get("cache-control"), "no-store");
  if (status === 303) {
    assert.equal(text, "");
    if (isOauth) return;
    assert.match(headers.get("location") ?? "", /^\/(?!\/)/, "a page leads to a path of its origin only");
    return;
  }
  assert.equal(headers.get("content-type"), "text/html; charset=utf-8");
  if (text === "") return;
  assert.match(text, /^<!doctype html>\n<html lang="en">/);
  assert.equal(text.match(/<h1>/g)?.length, 1, "a page has one h1");
  assert.equal(text.match(/<main /g)?.length, 1);
  assert.match(text, /<title>[^<]+<\/title>/);
  if (policy === POLICY) assertLacks(text, SCRIPT);
  assertLacks(text.replace(SCRIPT, ""), /<script|<style|<iframe|<object|<base|\sstyle=|javascript:/i);
  assertLacks(text.replaceAll(/"[^"]*"/g, ""), /<[^>]*\son\w+=/i);
  // Random values of that length hold every short word now and then.
  assertLacks(text.replaceAll(/[\w-]{40,}/g, ""), /undefined|\[object|NaN|Promise|>null</);
  assertLacks(text, /\bat .*\.(ts|js):\d|node:internal|node_modules/);
  const ids = [...text.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length, "an id stands once");
  for (const [, names = ""] of text.matchAll(/aria-(?:describedby|labelledby)="([^"]*)"/g)) {
    for (const name of names.split(" ")) assert.ok(ids.includes(name), `nothing has the id ${name}`);
  }
}
