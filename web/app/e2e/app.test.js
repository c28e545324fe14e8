import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { api, launch } from "./browser.js";
import { go as goTo, listen, violations } from "./page.js";

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

async function open(options) {
  if (options) {
    await context.close();
    context = await browser.newContext(options);
  }
  page = await context.newPage();
  page.setDefaultTimeout(15_000);
  complaints = listen(page);
}

const go = (path) => goTo(page, complaints, path);
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
        assert.deepEqual(await violations(page), []);
        const sideways = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
        assert.equal(sideways, false, `${path} scrolls sideways`);
      }
      assert.deepEqual(complaints, []);
    });
  }
}
