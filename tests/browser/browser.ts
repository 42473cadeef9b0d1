import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after, type TestContext } from "node:test";
import type { AxeResults, RunOptions } from "axe-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { root } from "../stage.ts";
import { launchChromium } from "./chromium.ts";
import { closeAfter } from "./closing.ts";

/** What a test shows of what it saw: kept by CI, ignored by git. */
const artefacts = path.join(root, "tests/artefacts");
const axeSource = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** A person's browser in one test: its own cookies and storage, any number of tabs. */
export type Visit = Awaited<ReturnType<typeof visit>>;

export interface VisitOptions extends BrowserContextOptions {
  /**
   * Errors in the console that the test brings about: a lost request, a 401. Chromium logs every answer of 400 and
   * above. Whatever else is logged or thrown fails the test.
   */
  readonly expected?: readonly RegExp[];
}

/** One line of the console for each answer of 400 and above, and for each connection that broke. */
export const networkErrors = /^Failed to load resource: /;

/** What has not come by then does not come. */
const patienceMilliseconds = 8000;

/** Of a test that failed, so many tabs are pictured. */
const failedTabsMax = 3;

/** One Chromium for a test file, with a profile of its own for each test. */
export function useBrowser() {
  let browser: Promise<Browser> | undefined;
  after(async () => (await browser)?.close());
  return {
    /** Closed after the test, which fails if a tab logged or threw an error that is not expected. */
    async visit(t: TestContext, options: VisitOptions = {}) {
      browser ??= launchChromium();
      return visit(await browser, t, options);
    },
  };
}

async function visit(browser: Browser, t: TestContext, { expected = [], ...options }: VisitOptions) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  context.setDefaultTimeout(patienceMilliseconds);
  const problems: string[] = [];
  const note = (text: string) => {
    if (!expected.some((pattern) => pattern.test(text))) problems.push(text);
  };
  context.on("console", (message) => {
    if (message.type() === "error") note(message.text());
  });
  context.on("weberror", (thrown) => note(thrown.error().stack ?? String(thrown.error())));

  closeAfter(t, async () => {
    // Node has it, its types do not yet.
    const { passed } = t as TestContext & { readonly passed: boolean };
    if (!passed) await keepScreenshots(context, t);
    await context.close();
    assert.deepEqual(problems, [], "a tab logged or threw what the test does not expect");
  });

  return {
    context,
    clock: context.clock,
    /** From now on the tabs' clocks, which go on by themselves, are moved by `clock`, all of them together. */
    async startClock(now: number): Promise<void> {
      await context.clock.install({ time: now });
      // Left out by the clock that takes the place of the real one.
      await context.addInitScript(() => {
        const origin = Date.now() - performance.now();
        Object.defineProperty(performance, "timeOrigin", { value: origin });
      });
    },
    /** What was logged or thrown so far. */
    problems: problems as readonly string[],

    /** So many tabs that have loaded the address and are ready: a page that begins with `<html data-ready="no">` says when. */
    tabs(count: number, url: string): Promise<Page[]> {
      return Promise.all(Array.from({ length: count }, () => openTab(context, url)));
    },
    tab: (url: string) => openTab(context, url),

    /** A picture of the whole page, called after the test and the moment. */
    screenshot: (page: Page, moment: string) => screenshot(page, `${t.name} ${moment}`),
  };
}

async function openTab(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  await page.locator('html:not([data-ready="no"])').waitFor();
  return page;
}

async function keepScreenshots(context: BrowserContext, t: TestContext): Promise<void> {
  for (const [index, page] of context.pages().slice(0, failedTabsMax).entries()) {
    // A tab that hangs must not take the test's own error with it.
    await screenshot(page, `${t.name} failed tab-${index + 1}`).catch(() => {});
  }
}

async function screenshot(page: Page, name: string): Promise<string> {
  const slug = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  const file = path.join(artefacts, `${slug.slice(0, 150)}.png`);
  fs.mkdirSync(artefacts, { recursive: true });
  await page.screenshot({ path: file, fullPage: true, animations: "disabled", timeout: 5000 });
  return file;
}

/** WCAG 2.2 AA as far as a program can see it: one line a violation, none when all is well. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  // With its stylesheet: a page that has come only so far is not what anybody reads.
  await page.waitForLoadState("load");
  // Evaluated by the debugger: no content security policy stands in its way.
  await page.evaluate(fs.readFileSync(axeSource, "utf8"));
  const options: RunOptions = {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    resultTypes: ["violations"],
  };
  const results = (await page.evaluate(`axe.run(${JSON.stringify(options)})`)) as AxeResults;
  return results.violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target }) => `${id}: ${help} (${target.join(" ")})`),
  );
}

/** Whether something sticks out sideways, so that the page scrolls in both directions (WCAG 1.4.10). */
export async function overflowsSideways(page: Page): Promise<boolean> {
  return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}
