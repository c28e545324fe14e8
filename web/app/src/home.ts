import { hello, helloURL } from "./api";
import { facts, h } from "./dom";

export function home(signal: AbortSignal): Node[] {
  return [
    h(
      "section",
      { class: "hero" },
      h(
        "div",
        {},
        h("p", { class: "eyebrow" }, "Weekly planner"),
        h("h1", { tabindex: "-1" }, "A week that leads to your goals"),
        h(
          "p",
          { class: "lead" },
          "This is the sample web app. One program on one host, edge, serves it to you over HTTPS and passes on what you ask of the API.",
        ),
      ),
      week(new Date()),
    ),
    h(
      "div",
      { class: "cards" },
      h("section", { class: "card", "aria-labelledby": "page" }, h("h2", { id: "page" }, "This page"), h("p", {}, "Static files, read once, compressed and served from memory."), delivery()),
      api(signal),
    ),
  ];
}

/** The days of this week, today marked. */
function week(today: Date): HTMLElement {
  const monday = new Date(today);
  monday.setDate(today.getDate() - ((today.getDay() + 6) % 7));
  const days = Array.from({ length: 7 }, (_, i) => {
    const day = new Date(monday);
    day.setDate(monday.getDate() + i);
    const isToday = day.toDateString() === today.toDateString();
    return h(
      "li",
      isToday ? { "aria-current": "date" } : {},
      h("span", { class: "day" }, day.toLocaleDateString("en", { weekday: "short" })),
      h("span", { class: "date" }, String(day.getDate())),
    );
  });
  return h("ol", { class: "week", "aria-label": "This week" }, ...days);
}

/** How the browser got this page. */
function delivery(): HTMLElement {
  const [page] = performance.getEntriesByType("navigation");
  if (!(page instanceof PerformanceNavigationTiming)) return facts([["Address", location.host]]);
  const protocols: Record<string, string> = { h3: "HTTP/3", h2: "HTTP/2", "http/1.1": "HTTP/1.1" };
  const size = page.encodedBodySize < page.decodedBodySize ? `${page.decodedBodySize} bytes, sent as ${page.encodedBodySize}` : `${page.decodedBodySize} bytes`;
  return facts([
    ["Host", location.host],
    ["Protocol", protocols[page.nextHopProtocol] ?? page.nextHopProtocol],
    ["Page", size],
    ["First byte", `${Math.max(1, Math.round(page.responseStart - page.requestStart))} ms`],
  ]);
}

/** Asks the API and shows what it says. */
function api(signal: AbortSignal): HTMLElement {
  const state = h("div", { class: "state", role: "status" });
  const again = h("button", { type: "button" }, "Ask again");

  async function ask(): Promise<void> {
    if (state.dataset["state"] === "loading") return; // not disabled meanwhile, which would take the focus away
    state.dataset["state"] = "loading";
    state.replaceChildren(h("p", { class: "quiet" }, "Asking the API…"));
    try {
      const answer = await hello(signal);
      state.dataset["state"] = "answered";
      state.replaceChildren(
        h("p", { class: "good" }, `It answered ${answer.status} in ${answer.milliseconds} ms.`),
        facts(answer.body),
      );
    } catch (error) {
      if (signal.aborted) return;
      state.dataset["state"] = "failed";
      state.replaceChildren(
        h("p", { class: "bad" }, error instanceof Error ? error.message : String(error)),
        h("p", {}, h("a", { href: helloURL }, "Open its address"), " to see what your browser says."),
      );
    }
  }
  again.addEventListener("click", () => void ask());
  void ask();

  return h(
    "section",
    { class: "card", "aria-labelledby": "api" },
    h("h2", { id: "api" }, "The API"),
    h("p", {}, "A process of its own behind edge, asked from here across hosts: ", h("code", {}, helloURL)),
    state,
    again,
  );
}
