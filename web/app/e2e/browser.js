// Starts Chromium so that it trusts the edge under test, and nothing else that it would not trust anyway.
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import tls from "node:tls";
import { chromium } from "playwright-core";

/** The address of the web app, such as https://localhost:8443. */
export const base = new URL(required("BASE_URL"));

/** The address of the API that the app asks. */
export const api = new URL(base);
api.hostname = `api.${base.hostname}`;

export function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`set ${name}: see e2e/README.md`);
  return value;
}

/**
 * Connects to a host as a strict client does, trusting only the authority in CA_FILE, and returns the hash of the key of its
 * certificate. So a certificate that is wrong fails here, and Chromium is told of the right keys alone.
 */
function verifiedKey(url) {
  return new Promise((resolve, reject) => {
    const host = url.hostname === "localhost" || url.hostname.endsWith(".localhost") ? "127.0.0.1" : url.hostname;
    const socket = tls.connect({
      host,
      port: Number(url.port || 443),
      servername: url.hostname,
      ca: process.env.CA_FILE ? readFileSync(process.env.CA_FILE) : undefined,
      timeout: 10_000,
    });
    socket.once("secureConnect", () => {
      const key = new X509Certificate(socket.getPeerCertificate().raw).publicKey.export({ type: "spki", format: "der" });
      socket.end();
      resolve(createHash("sha256").update(key).digest("base64"));
    });
    socket.once("timeout", () => socket.destroy(new Error(`${url.host} did not answer within 10 seconds`)));
    socket.once("error", (error) => reject(new Error(`${url.host}: ${error.message}`, { cause: error })));
  });
}

export async function launch() {
  const keys = await Promise.all([base, api].map(verifiedKey));
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--ignore-certificate-errors-spki-list=${keys.join(",")}`,
    ],
  });
}
