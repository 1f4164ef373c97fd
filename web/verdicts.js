// Marks the sentences of an answer that its passages do not bear out.

import { button, element } from "./dom.js";

// Rare brackets hold the place of a sentence through Markdown. They are punctuation, so that `**`
// beside them means what it did; before the first stands the number of the verdict.
const [opening, closing] = ["\u2e28", "\u2e29"];
const firstNumber = 0xe000;
const verdictsMax = 1000;

const leads = {
  unsupported: "Your documents do not bear this out.",
  weak: "Your documents bear this out only in part.",
};

const isDoubted = ({ support }) => support in leads;

/** The text with each doubted sentence between marks that `drawDoubts` looks for. */
export function markDoubts(text, verdicts) {
  if (!verdicts?.some(isDoubted) || /[\u2e28\u2e29\ue000-\uf8ff]/.test(text)) return text;
  const scalars = Array.from(text);
  verdicts.slice(0, verdictsMax).forEach((verdict, place) => {
    // A bracket before the first bar of a table's row would be one more cell.
    if (!isDoubted(verdict) || scalars[verdict.start] === "|" || verdict.end <= verdict.start) return;
    scalars[verdict.start] = String.fromCharCode(firstNumber + place) + opening + scalars[verdict.start];
    scalars[verdict.end - 1] += closing;
  });
  return scalars.join("");
}

/** Underlines what stands between the marks, with the reason behind it. */
export function drawDoubts(container, verdicts) {
  if (!verdicts?.some(isDoubted)) return;
  const walker = document.createTreeWalker(container, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  let verdict = null;
  for (const node of texts) {
    const parts = node.data.split(/([\ue000-\uf8ff]\u2e28|\u2e29)/);
    if (parts.length === 1 && (!verdict || node.parentNode.closest("button"))) continue;
    const pieces = parts.map((part, place) => {
      if (place % 2 === 0) return verdict && part.trim() ? underlined(part, verdict) : part;
      const before = verdict;
      verdict = part === closing ? null : verdicts[part.charCodeAt(0) - firstNumber] ?? null;
      return part === closing && before ? sign(before) : "";
    });
    node.replaceWith(...pieces.filter((piece) => piece !== ""));
  }
}

const explanation = ({ support, reason }) => [leads[support], reason].filter(Boolean).join(" ");

const underlined = (text, verdict) =>
  element("span", { class: `doubted ${verdict.support}`, title: explanation(verdict) }, text);

// For those who cannot hover: a tap shows the reason behind the sentence, another takes it away.
function sign(verdict) {
  const note = element("span", { class: "doubt-note", role: "note" }, explanation(verdict));
  const mark = button("?", { class: `doubt ${verdict.support}`, title: explanation(verdict),
    "aria-label": explanation(verdict), "aria-expanded": "false", onclick: () => {
      const isShown = note.isConnected;
      if (isShown) note.remove();
      else mark.after(note);
      mark.setAttribute("aria-expanded", String(!isShown));
    } });
  return mark;
}

/** How many of the sentences are borne out; empty where none says anything. */
export function verdictSummary(verdicts) {
  if (!verdicts?.length) return "";
  const good = verdicts.filter((verdict) => !isDoubted(verdict)).length;
  return `${good} of ${verdicts.length} ${verdicts.length === 1 ? "sentence" : "sentences"} borne out`;
}

/** Where the document of a passage says what the answer rests on it for. */
export function evidenceFor(number, verdicts) {
  return (verdicts ?? []).filter((verdict) => verdict.number === number
    && verdict.evidenceStart !== undefined && verdict.support !== "unsupported")
    .map(({ evidenceStart, evidenceEnd }) => [evidenceStart, evidenceEnd]);
}
