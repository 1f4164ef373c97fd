// What a search found, as a table: each passage with its place in every lane, and what became of it.

import { button, element } from "./dom.js";
import { count } from "./format.js";
import { openPassage } from "./passage.js";

const excerptCharacters = 180;

const fates = {
  given: "Given to the model", pastLimit: "Further down than the model is given",
  overBudget: "Found, no room beside the others", tooFar: "Left out: too far from the question",
};

const columns = [
  ["#", "Place in the whole order"], ["Passage", ""], ["Words", "Place by words, and BM25"],
  ["Meaning", "Place by meaning, and cosine"], ["Exact", "Holds the quoted or coded words"],
  ["Score", "Of words and meaning together"], ["Model", "Whether the model is given it"],
];

export function rowTable(rows) {
  return element("table", { class: "sheet-table explained-rows" },
    element("thead", {}, element("tr", {}, columns.map(([label, title]) =>
      element("th", { scope: "col", title: title || null }, label)))),
    element("tbody", {}, rows.map(tableRow)));
}

function tableRow({ hit, fate, tokens, wasGiven }) {
  const { passage, rank, keywordRank, keywordScore, vectorRank, similarity, isExact, score, rerankRank } = hit;
  const open = button("", { class: "source-link", onclick: () => openPassage(passage, open) },
    [passage.documentName, ...passage.headings].join(" › "));
  const text = passage.text.slice(0, excerptCharacters);
  const cells = [
    ["Words", lane(keywordRank, keywordScore?.toFixed(2))],
    ["Meaning", lane(vectorRank, similarity?.toFixed(3))],
    ["Exact", isExact ? "yes" : "–"],
    ["Score", [rank || score ? score.toFixed(3) : "–",
      rerankRank ? element("span", { class: "hint" }, ` reranked #${rerankRank}`) : ""]],
  ];
  return element("tr", { class: fate ?? "unfound" },
    element("td", { "data-label": "Place" }, rank ? String(rank) : "–"),
    element("th", { scope: "row" }, open,
      element("span", { class: "hint" }, text, passage.text.length > text.length ? "…" : "")),
    cells.map(([label, value]) => element("td", { "data-label": label }, value)),
    element("td", { "data-label": "Model" },
      element("span", { class: `fate ${fate ?? ""}` }, fates[fate] ?? "Not among the found"),
      tokens ? element("span", { class: "hint" }, count(tokens, "token")) : null,
      wasGiven === undefined ? null
        : element("span", { class: "hint" }, wasGiven ? "The answer had it" : "The answer did not have it")));
}

function lane(rank, score) {
  if (!rank && score === undefined) return "–";
  return [rank ? `#${rank} ` : "", element("span", { class: "hint" }, score ?? "")];
}
