// Pages that few people open are fetched when somebody does: the others start sooner.

import { element } from "./dom.js";

const pages = new Map();

/** What the module of such a page calls. */
export const providePage = (name, show) => pages.set(name, show);

/**
 * Shows the page of that name; its module, `file`, is fetched the first time, and a style sheet beside
 * it where it `hasStyle`.
 */
export const lazyPage = (name, file, { hasStyle = false } = {}) => async (main, options) => {
  if (!pages.has(name)) {
    await Promise.all([
      fetched("script", { type: "module", src: `/${file}.js` }),
      hasStyle ? fetched("link", { rel: "stylesheet", href: `/${file}.css` }) : null,
    ]);
  }
  if (options.signal.aborted) return {};
  return pages.get(name)(main, options);
};

function fetched(tag, attributes) {
  return new Promise((resolve, reject) => {
    const node = element(tag, attributes);
    node.addEventListener("load", resolve);
    node.addEventListener("error", () => {
      node.remove();
      reject(new Error("This page could not be fetched. Check the connection and reload."));
    });
    document.head.append(node);
  });
}
