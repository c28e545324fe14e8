import { h } from "./dom";
import { type FieldError, type Outcome, Sender } from "./submission";

type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/**
 * Sends a form without leaving the page, and says next to its fields what is wrong with them. Nothing that was typed is lost before it
 * has been taken. Where this can't be done, the browser sends the form as it does without JavaScript.
 */
export function enhance(form: HTMLFormElement): void {
  if (!isSecureContext) return; // it has no crypto.randomUUID
  const sender = new Sender(form.action);
  const state = h("p", { role: "status" });
  form.append(state); // it has to be there before something is said in it
  form.noValidate = true; // what the browser finds wrong is shown as what the server finds
  let sending = false; // the button is not disabled meanwhile, which would take the focus away

  function say(text: string, how: "good" | "bad" | "quiet"): void {
    state.className = how;
    state.textContent = text;
  }

  /** Leaves it to the browser. */
  function leave(): void {
    say("", "quiet"); // who comes back finds the form as it was
    form.submit();
  }

  async function send(): Promise<void> {
    const fields = filledIn(form);
    say("Sending…", "quiet");
    const outcome = await sender.send(fields);
    switch (outcome.kind) {
      case "taken":
        if (filledIn(form).toString() === fields.toString()) form.reset();
        say(form.dataset["thanks"] ?? "Thank you.", "good");
        break;
      case "invalid":
        complain(outcome.errors);
        break;
      case "unknown":
        leave();
        break;
      default:
        say(excuse(outcome), "bad");
    }
  }

  /** Shows what is wrong, and goes to the first field that it is wrong with. */
  function complain(errors: FieldError[]): void {
    const all = controls(form);
    const wrong = all.filter((control) => errors.some((e) => e.field === control.name));
    const elsewhere = errors.filter((e) => all.every((control) => control.name !== e.field));
    for (const control of all) {
      const error = errors.find((e) => e.field === control.name);
      if (error) mark(control, error.reason);
      else unmark(control);
    }
    say([wrong.length > 0 ? "Please look at what is marked." : "", ...elsewhere.map((e) => `${e.field}: ${e.reason}`)].join(" ").trim(), "bad");
    wrong[0]?.focus();
  }

  form.addEventListener("focusin", () => void sender.prepare());
  form.addEventListener("input", ({ target }) => {
    if (isControl(target) && target.validity.valid) unmark(target);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (sending) return;
    const errors = controls(form)
      .filter((control) => !control.validity.valid)
      .map((control) => ({ field: control.name, reason: control.validationMessage }));
    complain(errors);
    if (errors.length > 0) return;
    sending = true;
    send()
      .catch(leave)
      .finally(() => (sending = false));
  });
}

/** What is filled in. Files are the browser's to send. */
function filledIn(form: HTMLFormElement): URLSearchParams {
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (typeof value !== "string") throw new TypeError(`${name} is a file`);
    fields.append(name, value);
  }
  return fields;
}

function isControl(element: unknown): element is Control {
  return element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement;
}

function controls(form: HTMLFormElement): Control[] {
  return [...form.elements].filter(isControl);
}

/** Says next to a field what is wrong with it, to those who see it and to those who hear it. */
function mark(control: Control, reason: string): void {
  unmark(control);
  const error = h("p", { class: "bad", id: `${control.id}-error` }, reason);
  control.after(error);
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", error.id);
}

function unmark(control: Control): void {
  document.getElementById(`${control.id}-error`)?.remove();
  control.removeAttribute("aria-invalid");
  control.removeAttribute("aria-describedby");
}

function excuse(outcome: Extract<Outcome, { kind: "later" | "offline" }>): string {
  if (outcome.kind === "offline") return "You are offline. What you wrote is still here: send it once you are back.";
  return `This can't be taken just now. Please try again ${when(outcome.seconds)}: what you wrote is still here.`;
}

function when(seconds: number | null): string {
  if (seconds === null) return "in a moment";
  if (seconds < 90) return `in ${seconds} second${seconds === 1 ? "" : "s"}`;
  return `in ${Math.ceil(seconds / 60)} minutes`;
}
