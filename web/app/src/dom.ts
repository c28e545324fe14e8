type Child = Node | string;

/** Makes an element with attributes and children. Text is only ever text: nothing is parsed as HTML. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Makes a list of terms and what they are. */
export function facts(pairs: Array<[term: string, description: string]>): HTMLDListElement {
  return h("dl", { class: "facts" }, ...pairs.map(([term, description]) => h("div", {}, h("dt", {}, term), h("dd", {}, description))));
}
