/** Which address shows what, and to whom. Who is signed in is known by a cookie of this application's own. */
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { csrf } from "hono/csrf";
import { HTTPException } from "hono/http-exception";
import { createKept } from "./kept.ts";
import type { LogoutTokens } from "./logout-token.ts";
import { homePage, policyFor, problemPage, profilePage } from "./pages.ts";
import type { Leaving, Provider, Session } from "./provider.ts";

export interface SiteOptions {
  readonly provider: Pick<Provider, "begin" | "finish" | "userInfo" | "end">;
  readonly logoutTokens: LogoutTokens;
  readonly issuer: string;
  readonly url: string;
}

export function createSite({ provider, logoutTokens, issuer, url }: SiteOptions) {
  const site = new Hono();
  const leaving = createKept<Leaving>({ max: 10_000, seconds: 600 });
  const sessions = createKept<Session>({ max: 10_000, seconds: 12 * 3600 });
  const policy = policyFor(issuer);
  // Lax: the way back from the provider begins on another site, and has to bring the cookie.
  const cookie = { path: "/", httpOnly: true, sameSite: "Lax", secure: url.startsWith("https:") } as const;
  const sessionOf = (context: Context) => sessions.get(getCookie(context, "session"));

  // From server to server: no cookie, no Origin, and a token that says everything.
  site.post("/back-channel-logout", bodyLimit({ maxSize: 16 * 1024 }), async (context) => {
    context.header("Cache-Control", "no-store");
    const { logout_token: token } = await context.req.parseBody();
    const ended = typeof token === "string" ? await logoutTokens.read(token) : undefined;
    if (ended === undefined) return context.json({ error: "invalid_request" }, 400);
    const { sid, subject } = ended;
    // §2.7: with a sid that session, without one all of that person.
    sessions.deleteWhere((one) => (sid === undefined ? one.subject === subject : one.sid === sid));
    return context.body(null, 200);
  });

  // A form on another site signs nobody out.
  site.use(csrf({ origin: new URL(url).origin }));
  site.use(async (context, next) => {
    await next();
    context.header("Content-Security-Policy", policy);
    context.header("Referrer-Policy", "no-referrer");
    context.header("X-Content-Type-Options", "nosniff");
    context.header("Cache-Control", "no-store");
  });
  site.onError((error, context) => {
    // What Hono itself refuses: too large, or a form of another site.
    if (error instanceof HTTPException) return error.getResponse();
    // The message only: what else there is may hold a token.
    console.error(error.message);
    return context.html(problemPage("Keyturn could not be asked. Try again."), 503);
  });

  site.get("/", (context) => context.html(homePage(sessionOf(context), `${issuer}/account`)));

  site.get("/sign-in", async (context) => {
    const begun = await provider.begin("/profile");
    setCookie(context, "leaving", leaving.put(begun.leaving), { ...cookie, maxAge: leaving.seconds });
    return context.redirect(begun.location.href, 303);
  });

  site.get("/callback", async (context) => {
    const id = getCookie(context, "leaving");
    const left = leaving.get(id);
    // What was kept works once, in the browser that left with it.
    leaving.delete(id);
    deleteCookie(context, "leaving", cookie);
    if (left === undefined) return context.html(problemPage("This sign-in was begun elsewhere."), 400);
    // By the address that is registered, whatever a proxy has made of it.
    const cameBackTo = new URL(`/callback${new URL(context.req.url).search}`, url);
    let session: Session;
    try {
      session = await provider.finish(cameBackTo, left);
    } catch (error) {
      const word = (error as { error?: unknown }).error;
      const sentence = word === "access_denied" ? "You did not allow it." : "The sign-in did not work.";
      return context.html(problemPage(sentence), 400);
    }
    // A new id at each sign-in: whoever knew the old one knows nothing.
    sessions.delete(getCookie(context, "session"));
    setCookie(context, "session", sessions.put(session), { ...cookie, maxAge: sessions.seconds });
    return context.redirect(left.returnTo, 303);
  });

  site.get("/profile", async (context) => {
    const session = sessionOf(context);
    if (session === undefined) return context.redirect("/sign-in", 303);
    const info = await provider.userInfo(session);
    if (info !== undefined) return context.html(profilePage(session, info));
    sessions.delete(getCookie(context, "session"));
    deleteCookie(context, "session", cookie);
    return context.html(problemPage("You were signed out at Keyturn."), 401);
  });

  site.post("/sign-out", async (context) => {
    const session = sessionOf(context);
    sessions.delete(getCookie(context, "session"));
    deleteCookie(context, "session", cookie);
    // Out of the provider too: else the next click on "Sign in" would ask nobody.
    return context.redirect(session === undefined ? "/" : (await provider.end(session)).href, 303);
  });

  return site;
}
