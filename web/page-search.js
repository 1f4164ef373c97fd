// Why an answer has its sources, and a search to try: what was found, what the model is given, what
// became of the document that should have been found, and what helps.

import {
  beginTurn, createChat, explainSearch, jobEvents, listCollections, listDocuments, renewDocument,
  setPassages,
} from "./api.js";
import { announce, button, element, failureMessage, sevenDots } from "./dom.js";
import { count, number, percent, titleOf } from "./format.js";
import { providePage } from "./lazy.js";
import { field, FilterFields } from "./page-filter.js";
import { rowTable } from "./page-ranking.js";
import { follow } from "./sse.js";

// The choice of documents is one list: more than this would not be read.
const collectionsMax = 50;

const shapes = { quoted: "a question with a quotation", code: "a question with names or codes",
  prose: "a question in prose" };

providePage("search", async (main, { query, signal }) => {
  const page = new SearchPage(main, query, signal);
  await page.load();
  return { title: page.title };
});

class SearchPage {
  #body = element("div", { class: "explained" });
  #question = element("textarea", { id: "search-question", rows: "2", required: true, maxlength: "8000" });
  #documents = element("select", { id: "search-document" },
    element("option", { value: "" }, "None in particular"));
  #collections = element("select", { id: "search-collection" });
  #filter = new FilterFields();

  constructor(main, query, signal) {
    [this.turnID, this.chatID] = [query.get("turn"), query.get("chat")];
    this.signal = signal;
    this.title = this.turnID ? "Why these sources?" : "Search test";
    this.#question.value = query.get("question") ?? "";
    this.form = element("form", { class: "search-form", onsubmit: (event) => {
      event.preventDefault();
      this.#search();
    } },
    field("Question", this.#question),
    field("Which document should have been found?", this.#documents),
    field("Search in", this.#collections),
    this.#filter.node,
    button("Search", { class: "button primary", type: "submit" }));
    this.#drawCollections([]);
    main.replaceChildren(element("div", { class: "page wide" },
      element("h1", {}, this.title),
      element("p", { class: "lead" }, "What is found for a question, why in this order, and what of it"
        + " the model is given. Only documents that you may read are looked at."),
      this.form, this.#body));
  }

  async load() {
    const listing = this.#listDocuments();
    if (this.turnID) await this.#explain({ turnID: this.turnID });
    else if (this.#question.value) await this.#search();
    else this.#question.focus();
    await listing;
  }

  async #listDocuments() {
    const collections = (await listCollections(this.signal).catch(() => [])).slice(0, collectionsMax);
    const lists = await Promise.all(collections.map(({ id }) =>
      listDocuments(id, this.signal).catch(() => [])));
    const chosen = [this.#documents.value, this.#collections.value];
    this.#drawCollections(collections);
    collections.forEach(({ name }, place) => {
      const options = lists[place].map((document) =>
        element("option", { value: document.id }, document.name));
      if (options.length) this.#documents.append(element("optgroup", { label: name }, options));
    });
    [this.#documents.value, this.#collections.value] = chosen;
    this.#documents.addEventListener("change", () => { if (this.#question.value) this.#search(); });
  }

  #drawCollections(collections) {
    const asTurn = element("option", { value: "turn" }, "Where the answer searched");
    this.#collections.replaceChildren(...this.turnID ? [asTurn] : [],
      element("option", { value: "" }, "All collections"),
      ...collections.map(({ id, name }) => element("option", { value: id }, name)));
  }

  /** Asks what the form says, beside the turn where there is one. */
  #search({ passagesMax } = {}) {
    const query = { question: this.#question.value.trim() };
    if (!query.question) return Promise.resolve();
    const collection = this.#collections.value;
    if (this.turnID) query.turnID = this.turnID;
    if (collection !== "turn") query.collectionIDs = collection ? [collection] : [];
    if (passagesMax) query.passagesMax = passagesMax;
    return this.#explain(Object.assign(query, this.#filter.value));
  }

  async #explain(query) {
    if (this.#documents.value) query.documentID = this.#documents.value;
    this.#body.replaceChildren(element("p", { class: "phase" }, sevenDots(), "Searching…"));
    try {
      const found = await explainSearch(query, this.signal);
      if (!query.question) this.#question.value = found.question;
      this.#draw(found);
      announce(found.findings[0]?.sentence ?? `${count(found.rows.length, "passage")} found.`);
    } catch (error) {
      if (!this.signal.aborted) {
        this.#body.replaceChildren(failureMessage(error, () => this.#explain(query)));
      }
    }
  }

  #draw(found) {
    this.found = found;
    this.#body.replaceChildren(
      ...found.findings.map((finding) => this.#finding(finding)),
      found.expected ? expectedSection(found) : "",
      element("section", { "aria-label": "What was found" },
        element("h2", {}, "What was found"),
        element("p", { class: "hint" }, settings(found)),
        found.rows.length ? rowTable(found.rows) : element("p", { class: "empty" }, "Nothing.")));
  }

  // Findings, and what a click does about them

  #finding(finding) {
    const { sentence, action, label } = finding;
    const act = action ? button(label, { class: "button small", onclick: async () => {
      act.disabled = true;
      try {
        await this.#apply(finding);
      } catch (error) {
        if (!this.signal.aborted) node.append(failureMessage(error));
      } finally {
        act.disabled = false;
      }
    } }) : null;
    const node = element("div", { class: "message finding" }, element("p", {}, sentence), act,
      action === "passages" ? this.#askButton(finding.passages) : null);
    return node;
  }

  async #apply({ action, passages, question }) {
    switch (action) {
    case "reread": return this.#renew(false);
    case "embed": return this.#renew(true);
    case "passages": return this.#search({ passagesMax: passages });
    case "ask":
      this.#question.value = question;
      return this.#search();
    case "searchAll":
      this.#collections.value = "";
      this.#filter.clear();
      return this.#search();
    default:
      location.hash = "#/documents";
      return null;
    }
  }

  async #renew(vectorsOnly) {
    const { jobID } = await renewDocument(this.#documents.value, vectorsOnly);
    let last = null;
    await follow(jobEvents(jobID), { signal: this.signal, onEvent: (name, job) => {
      if (name !== "job") return false;
      last = job;
      announce(job.message);
      return ["completed", "failed", "cancelled"].includes(job.state);
    } });
    if (last?.state === "failed") announce(last.message);
    await this.#search();
  }

  // The chat that the answer is in keeps the number; without one a new chat is made for it.
  #askButton(passages) {
    const label = this.chatID ? "Ask again in the chat with them" : "Ask in a chat with them";
    const ask = button(label, { class: "button small", onclick: async () => {
      ask.disabled = true;
      try {
        const question = this.#question.value.trim();
        const chatID = this.chatID ?? (await createChat(titleOf(question), passages)).id;
        if (this.chatID) await setPassages(chatID, passages);
        await beginTurn(chatID, { question, model: this.found.model || undefined,
          collectionIDs: this.found.search.collectionIDs.length ? this.found.search.collectionIDs : undefined });
        location.hash = `#/chats/${chatID}`;
      } catch (error) {
        ask.replaceWith(failureMessage(error));
      }
    } });
    return ask;
  }
}

function settings({ search, model, passageTokensMax, shape, vectorShare, hasVectors }) {
  const nearest = search.bestSimilarity === undefined ? ""
    : ` The nearest has a cosine of ${search.bestSimilarity.toFixed(2)}.`;
  const texts = [search.text, ...search.queries ?? []].map((text) => `“${text.trim()}”`).join(", ");
  return `Looked for ${texts} in ${count(search.documentCount ?? 0, "document")}`
    + ` (${count(search.passageCount ?? 0, "passage")}).${nearest} It is ${shapes[shape]}: meaning`
    + ` counts ${percent(vectorShare)}, words ${percent(1 - vectorShare)}${
      hasVectors ? "" : ", but it could not be embedded"}. ${model || "A model"} is given up to ${
      count(search.passagesMax, "passage")} of ${number(passageTokensMax)} tokens together.`;
}

function expectedSection({ expected, rows }) {
  const { document, excerpt, characterCount, words, missingWords, hits } = expected;
  const known = new Map(rows.map((row) => [row.hit.passage.id, row]));
  const own = hits.map((hit) => known.get(hit.passage.id) ?? { hit, fate: null, tokens: 0 });
  return element("section", { "aria-label": `The document ${document.name}` },
    element("h2", {}, document.name),
    element("p", { class: "hint" }, `${count(document.passageCount, "passage")}, ${
      count(characterCount, "character")} of text were read from it.`),
    words.length || missingWords.length
      ? element("ul", { class: "words", "aria-label": "The question's words in it" },
        words.map((word) => element("li", { class: "tag good" }, word)),
        missingWords.map((word) => element("li", { class: "tag missing", title: "Not in it" }, word)))
      : null,
    excerpt ? element("details", { class: "excerpt" },
      element("summary", {}, "The text that was read"),
      element("div", { class: "document" }, excerpt, characterCount > excerpt.length ? "…" : "")) : null,
    own.length ? rowTable(own) : null);
}
