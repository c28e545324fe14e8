import { about, notFound } from "./about";
import { enhance } from "./forms";
import { home } from "./home";

interface Page {
  title: string;
  render: (signal: AbortSignal) => Node[];
}

const pages: Record<string, Page> = {
  "/": { title: "Planner", render: home },
  "/about": { title: "About · Planner", render: about },
};
const missing: Page = { title: "No such page · Planner", render: notFound };

const content = document.getElementById("page") as HTMLElement;
const forms = document.getElementById("forms") as HTMLElement; // they stand in index.html, to be there without JavaScript
let leaving = new AbortController();
let shown = "";

function show(): void {
  leaving.abort(); // whatever the page before still waits for
  leaving = new AbortController();
  const path = location.pathname.replace(/(.)\/$/, "$1");
  shown = location.pathname;
  const page = pages[path] ?? missing;
  document.title = page.title;
  content.replaceChildren(...page.render(leaving.signal));
  forms.hidden = path !== "/"; // what was typed into them stays
  for (const link of document.querySelectorAll<HTMLAnchorElement>("nav a")) {
    if (link.pathname === path) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Follows links between pages of the app without loading it again, and leaves all others to the browser. */
function follow(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.origin !== location.origin || link.target !== "" || !(link.pathname in pages) || link.hash !== "") return;
  event.preventDefault();
  if (link.pathname !== location.pathname) history.pushState(null, "", link.pathname);
  show();
  scrollTo(0, 0);
  content.querySelector("h1")?.focus(); // says where one is to whoever does not see it
}

document.addEventListener("click", follow);
addEventListener("popstate", () => {
  if (location.pathname !== shown) show(); // a jump within the page is one too
});
show();
for (const form of forms.querySelectorAll("form")) enhance(form);
