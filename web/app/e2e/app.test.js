import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { api, base, launch } from "./browser.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser, context, page, complaints;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

beforeEach(async () => {
  context = await browser.newContext();
  await open();
});
afterEach(() => context.close());

/** A page that remembers everything it complains of: errors, failed requests, violations of the policy. */
async function open(options) {
  if (options) {
    await context.close();
    context = await browser.newContext(options);
  }
  complaints = [];
  page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("requestfailed", (request) => {
    const error = request.failure()?.errorText;
    if (error !== "net::ERR_ABORTED") complaints.push(`${request.url()}: ${error}`); // that is what a navigation cuts off
  });
  page.on("response", (response) => response.status() >= 400 && complaints.push(`${response.url()}: ${response.status()}`));
}

/** Opens a path. A connection that fails below HTTP is said and tried once more; what a page does is never tried again. */
async function go(path) {
  const open = () => page.goto(new URL(path, base).href, { waitUntil: "load" });
  try {
    return await open();
  } catch (error) {
    if (!/net::ERR_(SSL|CONNECTION)/.test(String(error))) throw error;
    console.log(`# tried again: ${error}`);
    complaints.length = 0;
    return open();
  }
}
const heading = (name) => page.getByRole("heading", { level: 1, name }).waitFor();
const answered = () => page.locator("[data-state=answered]").waitFor();

test("the first page shows what is running and what the API answers", async () => {
  const response = await go("/");
  assert.equal(response.status(), 200);
  assert.ok(response.headers()["content-security-policy"], "a page has a policy");
  await heading("A week that leads to your goals");
  await answered();
  const { status, text } = await page.evaluate(async (url) => {
    const response = await fetch(url);
    return { status: response.status, text: await response.text() };
  }, new URL("/hello", api).href);
  assert.equal(status, 200);
  const shown = await page.locator("[data-state=answered]").innerText();
  const said = answerIn(text);
  assert.ok(shown.includes(said), `${shown} does not show ${said}`);
  assert.deepEqual(complaints, []);
});

/** Something that does not differ between two answers: a JSON object's message, or the whole text. */
function answerIn(text) {
  try {
    const { message } = JSON.parse(text);
    if (message) return message;
  } catch {
    // text
  }
  return text.trim();
}

test("both pages can be reached by link, by address and by reload, and left by the back button", async () => {
  await go("/");
  await answered();
  await page.getByRole("link", { name: "About" }).click();
  await heading("What you are looking at");
  assert.equal(new URL(page.url()).pathname, "/about");
  assert.equal(await page.title(), "About · Planner");
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1", "the focus moves along");

  assert.equal((await page.reload()).status(), 200);
  await heading("What you are looking at");
  assert.equal(await page.getByRole("link", { name: "About" }).getAttribute("aria-current"), "page");

  await page.goBack();
  await heading("A week that leads to your goals");
  await page.reload();
  await heading("A week that leads to your goals");
  await answered();
  assert.deepEqual(complaints, []);
});

test("an unknown address says so", async () => {
  await go("/no/such/page");
  await heading("There is no such page");
  assert.deepEqual(complaints, []);
});

test("a missing asset is a 404, not the page", async () => {
  await go("/");
  const { status, text } = await page.evaluate(async () => {
    const response = await fetch("/assets/gone.js");
    return { status: response.status, text: await response.text() };
  });
  assert.equal(status, 404);
  assert.ok(!text.includes("<title>Planner"));
});

test("when the API is away the page says so and asks again", async () => {
  const hello = new URL("/hello", api).href;
  await page.route(hello, (route) => route.abort());
  await go("/");
  await page.locator("[data-state=failed]").waitFor();
  await page.unroute(hello);
  await page.getByRole("button", { name: "Ask again" }).click();
  await answered();
});

test("the policy keeps foreign scripts and inline ones out", async () => {
  await go("/");
  await answered();
  const ran = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.head.append(script);
    await new Promise((done) => setTimeout(done));
    return window.ran === true;
  });
  assert.equal(ran, false);
  assert.match(complaints.join("\n"), /Content Security Policy/);
});

for (const colorScheme of ["light", "dark"]) {
  for (const [name, viewport] of Object.entries({ desktop: { width: 1280, height: 800 }, phone: { width: 320, height: 640 } })) {
    test(`accessible: ${colorScheme}, ${name}`, async () => {
      await open({ colorScheme, viewport, reducedMotion: "reduce" });
      for (const path of ["/", "/about", "/no/such/page"]) {
        await go(path);
        if (path === "/") await answered();
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() =>
          window.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
        );
        assert.deepEqual(violations.map((v) => `${path}: ${v.id}: ${v.nodes.map((n) => n.html).join(", ")}`), []);
        const sideways = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
        assert.equal(sideways, false, `${path} scrolls sideways`);
      }
      assert.deepEqual(complaints, []);
    });
  }
}
