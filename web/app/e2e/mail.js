// The mail that the functions write into a folder, one file a message.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { required } from "./browser.js";

const folder = required("MAIL_FOLDER");
const patience = 30_000; // milliseconds: a function is started and a submission delivered within

/** All messages with a text in their head or body, as { head, body }. */
export function mailWith(text) {
  let names = [];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(".eml"));
  } catch (error) {
    if (error.code !== "ENOENT") throw error; // no mail yet
  }
  return names.map((name) => read(readFileSync(join(folder, name), "utf8"))).filter(({ head, body }) => head.includes(text) || body.includes(text));
}

/** Waits for a message. */
export async function awaitMail(text) {
  for (const end = Date.now() + patience; Date.now() < end; await pause(50)) {
    const [first] = mailWith(text);
    if (first) return first;
  }
  throw new Error(`no mail with ${text} within ${patience / 1000} seconds`);
}

function read(message) {
  const at = message.search(/\r?\n\r?\n/);
  const head = message.slice(0, at).replace(/\r?\n[ \t]+/g, " ");
  const body = message.slice(at).trim();
  return { head, body: /^content-transfer-encoding: *quoted-printable/im.test(head) ? quotedPrintable(body) : body };
}

function quotedPrintable(text) {
  const bytes = text.replace(/=\r?\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8");
}
