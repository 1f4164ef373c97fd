// Pages that few people open are fetched when somebody does: the others start sooner.

import { element } from "./dom.js";

const pages = new Map();

/** What the module of such a page calls. */
export const providePage = (name, show) => pages.set(name, show);

/** Shows the page of that name; its module is fetched the first time. */
export const lazyPage = (name) => async (main, options) => {
  if (!pages.has(name)) await fetched(`/admin-${name}.js`);
  if (options.signal.aborted) return {};
  return pages.get(name)(main, options);
};

function fetched(src) {
  return new Promise((resolve, reject) => {
    const script = element("script", { type: "module", src });
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => {
      script.remove();
      reject(new Error("This page could not be fetched. Check the connection and reload."));
    });
    document.head.append(script);
  });
}
