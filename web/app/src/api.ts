/** The API lives on the host beside this one, on the same port. */
export const helloURL = `https://api.${location.host}/hello`;

const patience = 5_000; // milliseconds

export interface Answer {
  status: number;
  milliseconds: number;
  /** What the body says: the top-level members of a JSON object, or the text as one. */
  body: Array<[name: string, value: string]>;
}

/** Asks the API. Its errors are sentences to show. */
export async function hello(signal: AbortSignal): Promise<Answer> {
  const started = performance.now();
  let response: Response;
  let text: string;
  try {
    response = await fetch(helloURL, {
      headers: { Accept: "application/json" },
      signal: AbortSignal.any([signal, AbortSignal.timeout(patience)]),
    });
    text = await response.text();
  } catch (error) {
    if (error instanceof DOMException && error.name === "TimeoutError") {
      throw new Error(`It did not answer within ${patience / 1000} seconds.`);
    }
    throw new Error("It could not be reached. Is it running, and does your browser trust its certificate?");
  }
  if (!response.ok) throw new Error(`It answered with status ${response.status}.`);
  return { status: response.status, milliseconds: Math.round(performance.now() - started), body: members(text) };
}

function members(text: string): Answer["body"] {
  try {
    const value: unknown = JSON.parse(text);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) {
      return Object.entries(value).map(([name, v]) => [name, shorten(typeof v === "string" ? v : JSON.stringify(v))]);
    }
  } catch {
    // It is not JSON, so it is text.
  }
  return [["answer", shorten(text.trim())]];
}

function shorten(text: string): string {
  const most = 300;
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
