import { h } from "./dom";

export function about(): Node[] {
  return [
    h(
      "article",
      { class: "prose" },
      h("p", { class: "eyebrow" }, "About"),
      h("h1", { tabindex: "-1" }, "What you are looking at"),
      h("p", { class: "lead" }, "A small single-page app, built by Vite, in the place where your own app will be."),
      h("h2", {}, "Pages that are not files"),
      h(
        "p",
        {},
        "There is no file for the address ",
        h("code", {}, "/about"),
        ". Reload this page: edge answers with ",
        h("code", {}, "index.html"),
        ", and the app shows what belongs here. A missing file, such as ",
        h("code", {}, "/assets/gone.js"),
        ", is an honest 404 all the same.",
      ),
      h("h2", {}, "Files that never change"),
      h(
        "p",
        {},
        "Scripts and styles carry a hash of their content in their names, so your browser keeps them for a year. The page itself is asked for each time, which costs an answer without a body.",
      ),
      h("h2", {}, "A policy that holds"),
      h(
        "p",
        {},
        "Scripts come from this host alone, and the page may talk to this host and to the API: the Content-Security-Policy that edge sends says so.",
      ),
    ),
  ];
}

export function notFound(): Node[] {
  return [
    h(
      "article",
      { class: "prose" },
      h("p", { class: "eyebrow" }, "Nothing here"),
      h("h1", { tabindex: "-1" }, "There is no such page"),
      h("p", { class: "lead" }, "The address may be mistyped, or the page may have moved."),
      h("p", {}, h("a", { href: "/" }, "Go to the first page")),
    ),
  ];
}
