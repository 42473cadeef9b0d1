/**
 * The walls of the house: imports only go down, and each outside package has its one door.
 *
 * Floors of packages/server/src (see ARCHITECTURE.md):
 *   6  index.ts  app.ts  server.ts  fetch-handler.ts
 *   5  pipeline.ts  routes.ts  node-door.ts  page-routes.ts  openapi.ts  cli/  jobs/  admin/api  admin/console
 *   4  account-api/  oauth/  providers/  pages/  admin/commands/
 *   3  http/: the words in which every door speaks HTTP
 *   2  users  sessions  tokens  keys  clients  consents  roles  rate-limits  audit
 *   1  storage  mail  observability
 *   0  primitives  errors  config  hooks  version
 */
const source = "^packages/server/src/";
const test = "(\\.test\\.ts$|/test-[^/]+\\.ts$)";

/** A path pattern for files or folders of the server: "errors" is errors.ts or errors/. */
const inServer = (...names) => `${source}(${names.join("|")})(/|\\.|-)`;

const floors = [
  inServer("primitives", "errors", "config", "hooks", "version"),
  inServer("storage", "mail", "observability"),
  inServer("users", "sessions", "tokens", "keys", "clients", "consents", "roles", "rate-limits", "audit"),
  inServer("http"),
  inServer("account-api", "oauth", "providers", "pages", "admin/commands"),
  inServer(
    "pipeline",
    "routes",
    "node-door",
    "page-routes",
    "openapi",
    "cli",
    "jobs",
    "admin/api",
    "admin/console",
  ),
  inServer("index", "app", "server", "fetch-handler", "session-reader"),
];
const above = (floor) => floors.slice(floor + 1).join("|");

const forbid = (name, comment, from, to) => ({ name, comment, severity: "error", from, to });

/** Nothing above a floor may be imported by it. */
const upward = floors.slice(0, -1).map((path, floor) =>
  forbid(
    `floor-${floor}-imports-upward`,
    "imports only go down: hand the function in from app.ts instead",
    // The terminal starts the application, so it alone may name the composition root.
    { path, pathNot: floor === 5 ? `${test}|${inServer("cli")}` : test },
    { path: above(floor) },
  ),
);

/** Folders of one floor that know nothing of each other, but for the named edges. */
const neighbours = (floor, folders, allowed) =>
  folders.map((folder) =>
    forbid(
      `floor-${floor}-neighbour-of-${folder.replace("/", "-")}`,
      `${folder} may not import its neighbours${allowed[folder] ? ` but for ${allowed[folder].join(", ")}` : ""}`,
      { path: inServer(folder), pathNot: test },
      {
        path: floors[floor],
        pathNot: [inServer(folder), ...(allowed[folder] ?? []).map((name) => inServer(name)), test].join("|"),
      },
    ),
  );

/** Only the named files may import the package. */
const door = (name, specifier, files) =>
  forbid(
    `door-${name}`,
    `only ${files} may import ${name}`,
    { path: "^packages/[^/]+/src/", pathNot: `${test}|${files}` },
    { path: specifier },
  );
const npm = (name) => `(^|/)node_modules/${name}/|^${name}$`;

/** The part of the client that is loaded in Node only. */
const clientInNode = "^packages/client/src/(node|file-[^/]+)\\.ts$";

const folders2 = [
  "users",
  "sessions",
  "tokens",
  "keys",
  "clients",
  "consents",
  "roles",
  "rate-limits",
  "audit",
];

module.exports = {
  forbidden: [
    forbid("no-cycle", "no file can be read alone in a ring, types included", {}, { circular: true }),
    forbid(
      "not-resolvable",
      "the imported file or package is not there",
      {},
      { couldNotResolve: true, pathNot: "^node:" },
    ),
    forbid(
      "no-floor",
      "give the new file or folder a floor in .dependency-cruiser.cjs",
      { path: source, pathNot: `${test}|${floors.join("|")}` },
      {},
    ),
    forbid(
      "no-floor-imported",
      "give the new file or folder a floor in .dependency-cruiser.cjs",
      { path: source, pathNot: test },
      { path: source, pathNot: `${test}|${floors.join("|")}` },
    ),
    forbid(
      "test-code-in-production",
      "what ships may not import test code",
      { path: "^packages/[^/]+/src/", pathNot: test },
      { path: test },
    ),
    ...upward,
    ...neighbours(1, ["storage", "mail", "observability"], {
      storage: ["observability"],
      mail: ["storage", "observability"],
    }),
    ...neighbours(2, folders2, {
      users: ["sessions", "roles", "rate-limits", "audit"],
      sessions: ["tokens", "audit"],
      tokens: ["keys", "audit"],
      keys: ["audit"],
      clients: ["audit"],
      // Who withdraws what was agreed to ends what the client holds by it, in one transaction.
      consents: ["sessions", "audit"],
      roles: ["sessions", "audit"],
      "rate-limits": ["audit"],
    }),
    ...neighbours(4, ["account-api", "oauth", "providers", "pages", "admin/commands"], {
      // Signing in with a provider is led by pages; what it comes to is decided in providers/, which knows no page.
      // A device that is let in at a page is oauth's: the codes are what the page asks it about.
      pages: ["oauth/interaction", "oauth/device-codes", "providers"],
      "admin/commands": ["providers", "oauth"],
    }),
    door("sql-template-tag", npm("sql-template-tag"), `\\.sql\\.ts$|${source}storage/`),
    door("node:sqlite", "^(node:)?sqlite$", `${source}storage/sqlite[^/]*\\.ts$`),
    door("openid-client", npm("openid-client"), `${source}providers/foreign\\.ts$`),
    door("nodemailer", npm("nodemailer"), `${source}mail/transport\\.ts$`),
    door("pg", npm("pg"), `${source}storage/postgres[^/]*\\.ts$`),
    door("jose", npm("jose"), `${source}(clients/client-jwt|tokens/id-token-hint)\\.ts$`),
    forbid(
      "http-below-floor-3",
      "floors 0 to 2 do not know that HTTP exists",
      { path: floors.slice(0, 3).join("|"), pathNot: test },
      { path: `${npm("hono")}|${npm("@hono/[^/]+")}` },
    ),
    forbid(
      "guard-stands-alone",
      "the guard has no dependency: node's own modules and its own files only",
      { path: "^packages/guard/src/", pathNot: test },
      { pathNot: "^packages/guard/src/", dependencyTypesNot: ["core"] },
    ),
    forbid(
      "client-stands-alone",
      "the client runs in browsers: its own files only",
      { path: "^packages/client/src/", pathNot: `${test}|${clientInNode}` },
      { pathNot: "^packages/client/src/" },
    ),
    forbid(
      "client-in-node-stands-alone",
      "its door for Node has no dependency either: node's own modules and its own files only",
      { path: clientInNode, pathNot: test },
      { pathNot: "^packages/client/src/", dependencyTypesNot: ["core"] },
    ),
    forbid(
      "client-in-browsers",
      "browsers cannot load what needs Node",
      { path: "^packages/client/src/", pathNot: `${test}|${clientInNode}` },
      { path: clientInNode },
    ),
    forbid(
      "server-stands-alone",
      "packages share no source: import one by its name, as anyone who installs it would",
      { path: source, pathNot: test },
      { path: "^packages/(guard|client)/", dependencyTypes: ["local"] },
    ),
  ],
  options: {
    parser: "swc",
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "(^|/)node_modules/" },
    exclude: { path: "^(packages|examples)/[^/]+/dist/" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["keyturn-source", "import", "node", "default", "types"],
      extensions: [".ts", ".js", ".mjs", ".json"],
    },
  },
};
