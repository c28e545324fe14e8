// What the tests know about a page: what it complains of, and what is wrong with it for people who can't see it or use no mouse.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { base } from "./browser.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Returns a list that everything is added to that a page complains of: errors, failed requests, violations of the policy. */
export function listen(page) {
  const complaints = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("requestfailed", (request) => {
    const error = request.failure()?.errorText;
    if (error !== "net::ERR_ABORTED") complaints.push(`${request.url()}: ${error}`); // that is what a navigation cuts off
  });
  page.on("response", (response) => response.status() >= 400 && complaints.push(`${response.url()}: ${response.status()}`));
  return complaints;
}

/** Opens a path. A connection that fails below HTTP is said and tried once more; what a page does is never tried again. */
export async function go(page, complaints, path) {
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

/** What a page has that WCAG 2.2 AA does not allow. */
export async function violations(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    window.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  return violations.map((v) => `${page.url()}: ${v.id}: ${v.nodes.map((n) => n.html).join(", ")}`);
}

/** The same of a page without JavaScript, where axe can't run: what it shows is opened once more, in a browser that has it, without its scripts. */
export async function violationsWithout(browser, page) {
  const context = await browser.newContext();
  try {
    const copy = await context.newPage();
    const body = (await page.content()).replace(/<\/?noscript>/g, "");
    await copy.route(page.url(), (route) =>
      route.fulfill({ contentType: "text/html; charset=utf-8", headers: { "content-security-policy": "script-src 'none'" }, body }),
    );
    await copy.goto(page.url());
    return await violations(copy);
  } finally {
    await context.close();
  }
}
