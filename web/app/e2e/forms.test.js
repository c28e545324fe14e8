import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, beforeEach, afterEach, describe, test } from "node:test";
import { launch } from "./browser.js";
import { awaitMail, mailWith } from "./mail.js";
import { go as goTo, listen, violations, violationsWithout } from "./page.js";

let browser, context, page, complaints;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());
afterEach(() => context?.close());

/** Opens the first page. */
async function open(options) {
  context = await browser.newContext(options);
  page = await context.newPage();
  page.setDefaultTimeout(15_000);
  complaints = listen(page);
  await goTo(page, complaints, "/");
}

const newAddress = () => `${randomUUID()}@example.org`;
const card = (name) => page.getByRole("region", { name });
const letter = () => card("A letter each week");
const contact = () => card("Write to us");
const heading = (name) => page.getByRole("heading", { level: 1, name }).waitFor();
const status = (form, text) => form.getByRole("status").filter({ hasText: text }).waitFor();
const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);

/** Presses Tab until the focus is on what has a text or id, as somebody without a mouse does. */
async function tabTo(what) {
  for (let i = 0; i < 30; i++) {
    if ((await focused()) === what) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`the keyboard does not reach ${what}`);
}

/** Follows the link in the mail and presses the buttons of the pages behind it. */
async function confirm(address, accessible) {
  const { head, body } = await awaitMail(address);
  assert.match(head, /^List-Unsubscribe-Post: List-Unsubscribe=One-Click$/im);
  await page.goto(body.match(/https:\S+\/subscribe\/confirm\?\S+/)[0]);
  await heading("Subscribe?");
  await accessible();
  await tabTo("Subscribe");
  await page.keyboard.press("Enter");
  await heading("You are subscribed");
  await accessible();

  await page.goto(body.match(/https:\S+\/subscribe\/unsubscribe\?\S+/)[0]);
  await page.getByRole("button", { name: "Unsubscribe" }).click();
  await heading("You are unsubscribed");
  assert.deepEqual(complaints, []);
}

describe("with JavaScript", () => {
  beforeEach(() => open());
  const accessible = async () => assert.deepEqual(await violations(page), []);

  test("who subscribes is thanked, gets a mail, and is subscribed by the button behind its link", async () => {
    const address = newAddress();
    await letter().getByLabel("E-mail address").fill(address);
    await page.keyboard.press("Enter");
    await status(letter(), "look at your mail");
    assert.equal(new URL(page.url()).pathname, "/", "the page stays");
    assert.equal(await letter().getByLabel("E-mail address").inputValue(), "");
    await accessible();
    await confirm(address, accessible);
  });

  test("a message is mailed to us, to be answered to who wrote it, by keyboard alone", async () => {
    const address = newAddress();
    await tabTo("contact-name");
    await page.keyboard.type("Zoë");
    await page.keyboard.press("Tab");
    await page.keyboard.type(address);
    await page.keyboard.press("Tab");
    await page.keyboard.type("Ein schöner Gruß\nin two lines");
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Send", "nobody gets into the trap");
    await page.keyboard.press("Enter");
    await status(contact(), "We have got your message.");
    assert.equal(await focused(), "Send", "the focus stays");
    const { head, body } = await awaitMail(address);
    assert.match(head, new RegExp(`^Reply-To:.*${address}`, "im"));
    assert.match(head, /^To:.*hello@example\.com/im);
    assert.match(body, /Ein schöner Gruß\r?\n.*in two lines/);
    assert.match(body, /Zoë/);
    assert.deepEqual(complaints, []);
  });

  test("what is wrong stands next to its field, and nothing that was typed is lost", async () => {
    const form = contact();
    const email = form.getByLabel("E-mail address");
    const message = form.getByLabel("Message");
    await email.fill("nobody");
    await form.getByRole("button").click();
    assert.equal(await focused(), "contact-email", "the focus is on the first of them");
    assert.equal(await email.getAttribute("aria-invalid"), "true");
    assert.notEqual((await page.locator("#contact-email-error").innerText()).trim(), "");
    assert.equal(await email.getAttribute("aria-describedby"), "contact-email-error");
    assert.equal(await page.locator("#contact-message-error").count(), 1);
    await accessible();

    await email.fill(newAddress());
    assert.equal(await email.getAttribute("aria-invalid"), null, "what is right is not marked any more");
    const long = "x".repeat(5001); // which only the server minds
    await message.fill(long);
    await form.getByRole("button").click();
    await page.locator("#contact-message-error").waitFor();
    assert.equal(await focused(), "contact-message");
    assert.equal(await message.inputValue(), long);
    assert.match(complaints.join("\n"), /\/forms\/contact: 422/);

    await message.fill("short");
    await form.getByRole("button").click();
    await status(form, "We have got your message.");
    await accessible();
  });

  for (const [what, answer, hint] of [
    ["too much", { status: 429, headers: { "Retry-After": "30" } }, "in 30 seconds"],
    ["unavailable", { status: 503, headers: { "Retry-After": "300" } }, "in 5 minutes"],
    ["out of reach", null, "in a moment"],
  ]) {
    test(`when it is ${what} it says when to try again, and takes it once`, async () => {
      const address = newAddress();
      const keys = [];
      await page.route("**/forms/contact", async (route) => {
        keys.push(route.request().headers()["idempotency-key"]);
        if (keys.length > 1) return route.continue();
        return answer ? route.fulfill(answer) : route.abort();
      });
      await contact().getByLabel("E-mail address").fill(address);
      await contact().getByLabel("Message").fill(what);
      await contact().getByRole("button").click();
      await status(contact(), hint);
      assert.equal(await contact().getByLabel("Message").inputValue(), what, "what was typed is still there");
      await contact().getByRole("button").click();
      await status(contact(), "We have got your message.");
      assert.equal(keys[0], keys[1], "it is the same submission");
      assert.match(keys[0], /^[0-9a-f-]{36}$/);
      await awaitMail(address);
    });
  }

  test("what was taken, though the answer is lost, is mailed once however often it is sent", async () => {
    const address = newAddress();
    await page.evaluate(() => {
      const { fetch } = window;
      window.fetch = async (url, options) => {
        const answer = await fetch(url, options);
        if (options.method !== "POST") return answer;
        window.fetch = fetch;
        return new Response("", { status: 502 });
      };
    });
    await contact().getByLabel("E-mail address").fill(address);
    await contact().getByLabel("Message").fill("once");
    await contact().getByRole("button").click();
    await status(contact(), "in a moment");
    await contact().getByRole("button").click();
    await status(contact(), "We have got your message.");

    const later = newAddress();
    await contact().getByLabel("E-mail address").fill(later);
    await contact().getByLabel("Message").fill("after it");
    await contact().getByRole("button").click();
    await awaitMail(address);
    await awaitMail(later);
    assert.equal(mailWith(address).length, 1);
  });

  test("who is offline is told so, and sends it afterwards", async () => {
    const address = newAddress();
    await contact().getByLabel("E-mail address").fill(address);
    await contact().getByLabel("Message").fill("from the train");
    await context.setOffline(true);
    await contact().getByRole("button").click();
    await status(contact(), "You are offline.");
    await context.setOffline(false);
    await contact().getByRole("button").click();
    await status(contact(), "We have got your message.");
    await awaitMail(address);
  });

  test("where scripts can't send it, the browser does", async () => {
    const address = newAddress();
    await page.route("**/forms/subscribe", (route) => (route.request().resourceType() === "fetch" ? route.abort("blockedbyclient") : route.continue()));
    await letter().getByLabel("E-mail address").fill(address);
    await letter().getByRole("button").click();
    await status(letter(), "in a moment");
    await letter().getByRole("button").click();
    await pressOn();
    await awaitMail(address);
  });

  test("who fills in what people do not see is thanked, and heard by nobody", async () => {
    const trapped = newAddress();
    await contact().getByLabel("E-mail address").fill(trapped);
    await contact().getByLabel("Message").fill("buy this");
    await page.locator("#contact-gotcha").evaluate((trap) => (trap.value = "http://example.org"));
    await contact().getByRole("button").click();
    await status(contact(), "We have got your message.");

    const person = newAddress();
    await contact().getByLabel("E-mail address").fill(person);
    await contact().getByLabel("Message").fill("hello");
    await contact().getByRole("button").click();
    await awaitMail(person);
    assert.deepEqual(mailWith(trapped), []);
    assert.deepEqual(complaints, []);
  });

  test("what was typed is there when one comes back from another page of the app", async () => {
    await contact().getByLabel("Message").fill("half a");
    await page.getByRole("link", { name: "About" }).click();
    await heading("What you are looking at");
    assert.equal(await contact().isVisible(), false);
    await page.goBack();
    assert.equal(await contact().getByLabel("Message").inputValue(), "half a");
    assert.deepEqual(complaints, []);
  });
});

describe("without JavaScript", () => {
  beforeEach(() => open({ javaScriptEnabled: false }));
  const accessible = async () => assert.deepEqual(await violationsWithout(browser, page), []);

  test("who subscribes presses one more button, is thanked, and is subscribed by the link in the mail", async () => {
    const address = newAddress();
    await accessible();
    await letter().getByLabel("E-mail address").fill(address);
    await letter().getByRole("button").click();
    await pressOn(accessible);
    await confirm(address, accessible);
  });

  test("a message is mailed to us, by keyboard alone", async () => {
    const address = newAddress();
    await contact().getByLabel("E-mail address").focus();
    await page.keyboard.type(address);
    await page.keyboard.press("Tab");
    await page.keyboard.type("plain <b>words</b> & more");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await pressOn();
    const { head, body } = await awaitMail(address);
    assert.match(head, new RegExp(`^Reply-To:.*${address}`, "im"));
    assert.match(body, /plain <b>words<\/b> & more/);
    assert.deepEqual(complaints, []);
  });

  test("what is wrong is shown on a page with the form filled in, to be sent again", async () => {
    const address = newAddress();
    await contact().getByLabel("Your name").fill("Zoë");
    await contact().getByLabel("E-mail address").fill(address);
    await contact().getByLabel("Message").fill("x".repeat(5001));
    await contact().getByRole("button").click();
    const message = page.getByRole("textbox", { name: "Message" });
    await page.waitForURL(/\/forms\/contact$/);
    await press(message);
    assert.equal(await message.getAttribute("aria-invalid"), "true");
    assert.equal(await page.getByRole("textbox", { name: "Your name" }).inputValue(), "Zoë");
    assert.equal(await page.getByRole("textbox", { name: "E-mail address" }).inputValue(), address);
    await accessible();
    await message.fill("shorter");
    await press(page.getByRole("heading", { level: 1, name: "Thank you" }));
    assert.match((await awaitMail(address)).body, /shorter/);
  });

  test("who fills in what people do not see is thanked, and heard by nobody", async () => {
    const trapped = newAddress();
    await letter().getByLabel("E-mail address").fill(trapped);
    await page.locator("#subscribe-gotcha").evaluate((trap) => (trap.value = "x"));
    await letter().getByRole("button").click();
    await pressOn();
    await goTo(page, complaints, "/");
    const person = newAddress();
    await letter().getByLabel("E-mail address").fill(person);
    await letter().getByRole("button").click();
    await pressOn();
    await awaitMail(person);
    assert.deepEqual(mailWith(trapped), []);
  });
});

/** Presses the one button of edge's page, which comes again to whoever is quicker than people are, until it thanks. */
async function pressOn(accessible = async () => {}) {
  await page.waitForURL(/\/forms\/\w+$/);
  await accessible();
  await press(page.getByRole("heading", { level: 1, name: "Thank you" }));
  assert.match(page.url(), /\/thanks$/);
  await accessible();
}

/** Presses the button of the page that is shown until something else is there. */
async function press(something) {
  const button = page.getByRole("main").getByRole("button");
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    await Promise.all([page.waitForEvent("load"), button.click()]);
    if (await something.isVisible()) return;
  }
  assert.fail(`the button leads nowhere: ${await page.content()}`);
}
