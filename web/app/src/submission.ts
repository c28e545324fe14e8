const patience = 15_000; // milliseconds

/** What became of a submission. */
export type Outcome =
  | { kind: "taken" }
  | { kind: "invalid"; errors: FieldError[] }
  | { kind: "later"; seconds: number | null } // null: nobody said when
  | { kind: "offline" }
  | { kind: "unknown" }; // something that this script does not know: the browser's own way shows it

export interface FieldError {
  field: string;
  reason: string;
}

interface Token {
  token: string;
  field: string;
  good: number; // when it is old enough, by performance.now
}

/** Sends what is filled in to one form of edge. */
export class Sender {
  readonly #action: string;
  #token: Promise<Token | null> | undefined;
  #content = "";
  #key = "";
  #unreached = 0; // times in a row

  constructor(action: string) {
    this.#action = action;
  }

  /** Fetches the token that says since when the form is being filled in. One that can't be had is asked for again the next time. */
  prepare(): Promise<Token | null> {
    this.#token ??= fetchToken(`${this.#action}/token`).catch(() => {
      this.#token = undefined;
      return null;
    });
    return this.#token;
  }

  /** Sends the fields. The same fields again have the same key, so that nothing is taken twice however often it is tried. */
  async send(fields: URLSearchParams): Promise<Outcome> {
    if (fields.toString() !== this.#content) {
      this.#content = fields.toString();
      this.#key = crypto.randomUUID();
    }
    const token = await this.prepare();
    const body = new URLSearchParams(fields);
    if (token) {
      body.set(token.field, token.token);
      await pause(token.good - performance.now()); // what comes sooner is taken for a program's, and some are that quick: their browser fills it in
    }
    try {
      const response = await fetch(this.#action, {
        method: "POST",
        headers: { Accept: "application/json", "Idempotency-Key": this.#key },
        body,
        signal: AbortSignal.timeout(patience),
      });
      this.#unreached = 0;
      if (response.ok) this.#forget();
      return await outcome(response);
    } catch {
      if (!navigator.onLine) return { kind: "offline" };
      this.#unreached++;
      return this.#unreached > 1 ? { kind: "unknown" } : { kind: "later", seconds: null };
    }
  }

  /** After what was taken comes something else, even if it looks the same. */
  #forget(): void {
    this.#token = undefined;
    this.#content = "";
  }
}

async function fetchToken(url: string): Promise<Token> {
  const response = await fetch(url, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(patience) });
  const { token, field, wait } = (await response.json()) as { token?: unknown; field?: unknown; wait?: unknown };
  if (!response.ok || typeof token !== "string" || typeof field !== "string" || typeof wait !== "number") throw new Error(`${url}: no token`);
  return { token, field, good: performance.now() + wait * 1000 };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}

async function outcome(response: Response): Promise<Outcome> {
  if (response.ok) return { kind: "taken" };
  if (response.status === 429 || response.status >= 500) {
    const after = Number(response.headers.get("Retry-After") ?? NaN); // a date is NaN as well
    return { kind: "later", seconds: after > 0 ? after : null };
  }
  if (response.status === 422) {
    const errors = fieldErrors(await response.json());
    if (errors.length > 0) return { kind: "invalid", errors };
  }
  return { kind: "unknown" };
}

function fieldErrors(problem: unknown): FieldError[] {
  const { errors } = (problem ?? {}) as { errors?: unknown };
  if (!Array.isArray(errors)) return [];
  return errors.filter((e): e is FieldError => typeof e?.field === "string" && typeof e?.reason === "string");
}
