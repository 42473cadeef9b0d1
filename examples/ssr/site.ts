/**
 * Pages that the server makes, with Keyturn in the same process under /auth. Who asks is known by one call,
 * `keyturn.session(request)`: no script in the browser, no token to keep, nothing to refresh.
 */
import { Hono } from "hono";
import type { Keyturn } from "keyturn";
import { homePage, notesPage, picture, policy, problemPage, type Session } from "./pages.ts";

const notesMax = 100;
const noteCharactersMax = 500;

export function createSite(keyturn: Pick<Keyturn, "fetch" | "session">) {
  const site = new Hono<{ Variables: { session: Session } }>();
  const notes = new Map<string, string[]>();

  // Keyturn's own pages and API. Its second argument tells it who calls.
  site.all("/auth/*", ({ req, env }) => keyturn.fetch(req.raw, env as object));

  site.use(async (context, next) => {
    await next();
    context.header("Content-Security-Policy", policy);
    context.header("Referrer-Policy", "same-origin");
    context.header("X-Content-Type-Options", "nosniff");
    // What a person sees here is theirs, also from the back button of a shared computer.
    context.header("Cache-Control", "no-store");
  });

  site.get("/", async ({ req, html }) => html(homePage(await keyturn.session(req.raw))));

  // From here on somebody is signed in, or goes to sign in and comes back.
  site.use(async (context, next) => {
    const session = await keyturn.session(context.req.raw);
    if (session !== undefined) {
      context.set("session", session);
      return next();
    }
    if (context.req.method !== "GET") {
      return context.html(problemPage("You are signed out, or this form is not of this site."), 403);
    }
    const { pathname } = new URL(context.req.url);
    return context.redirect(`/auth/sign-in?return_to=${encodeURIComponent(pathname)}`, 303);
  });

  site.get("/notes", ({ get, html }) => {
    const session = get("session");
    return html(notesPage(session, notes.get(session.user.id) ?? []));
  });

  // A browser sends the cookie along with a form on any site that points here (SameSite=Lax keeps most of that away).
  // It also says, where no page can change it, which site the form is on: for another one than this, `session` gives
  // nobody. So forms need no hidden token.
  site.post("/notes", async (context) => {
    const { note } = await context.req.parseBody();
    if (typeof note !== "string" || note.trim() === "" || note.length > noteCharactersMax) {
      return context.html(problemPage(`A note takes 1 to ${noteCharactersMax} characters.`), 400);
    }
    const { id } = context.get("session").user;
    notes.set(id, [note, ...(notes.get(id) ?? [])].slice(0, notesMax));
    return context.redirect("/notes", 303);
  });

  // A page asks for five of these at once, and each of them asks who is there. Nothing turns, so nothing races.
  site.get("/pictures/:number", ({ req, get, body }) =>
    body(picture(get("session").user.username, req.param("number")), 200, {
      "Content-Type": "image/svg+xml",
    }),
  );

  return site;
}
