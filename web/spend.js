// The spend page: this month, by model.

import { readSpend } from "./api.js";
import { element } from "./dom.js";
import { cost, count, dollars, month, number } from "./format.js";

export async function showSpend(main, { signal }) {
  const spend = await readSpend(signal);
  main.replaceChildren(element("div", { class: "page" },
    element("h1", {}, "Spend"),
    element("p", { class: "lead" }, `${month(spend.month)}, to the picodollar.`),
    element("p", { class: "total" }, dollars(spend.total)),
    element("p", { class: "hint" }, spend.reserved === 0
      ? "Nothing is held for running calls." : `${dollars(spend.reserved)} is held for running calls.`),
    budget(spend), lines(spend.lines)));
  return { title: "Spend" };
}

function budget({ budget: limit, total }) {
  if (limit === null || limit === undefined) {
    return element("p", { class: "hint" }, "No budget is set for this month.");
  }
  return element("div", { class: "budget" },
    element("meter", { min: "0", max: String(Math.max(1, limit)), high: String(limit * 0.8),
      value: String(Math.min(total, limit)), "aria-label": "Budget used" }),
    element("span", { class: "hint" }, `of the budget of ${dollars(limit)}`));
}

function lines(items) {
  if (!items.length) return element("p", { class: "empty" }, "No model was called this month.");
  const rows = items.map((line) => element("tr", {},
    element("th", { scope: "row" }, line.candidate),
    element("td", { class: "align-right", "data-label": "Calls" }, number(line.calls)),
    element("td", { class: "align-right", "data-label": "Tokens in" }, number(line.inputTokens)),
    element("td", { class: "align-right", "data-label": "Tokens out" }, number(line.outputTokens)),
    element("td", { class: "align-right", "data-label": "Cost" }, cost(line.cost))));
  const head = ["Model", "Calls", "Tokens in", "Tokens out", "Cost"].map((label, place) =>
    element("th", { scope: "col", class: place ? "align-right" : null }, label));
  const calls = items.reduce((sum, line) => sum + line.calls, 0);
  return element("table", { class: "sheet-table" },
    element("caption", { class: "hint" }, count(calls, "call")),
    element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows));
}
