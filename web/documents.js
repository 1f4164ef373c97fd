// The documents page: collections, what is in them, and the way in.

import { createCollection, listCollections, listDocuments, removeDocument } from "./api.js";
import { confirmed } from "./dialog.js";
import { button, element, failureMessage, icon, iconButton } from "./dom.js";
import { bytes, count, dateTime } from "./format.js";
import { lazyPage } from "./lazy.js";
import { pause } from "./sse.js";
import { acceptDrops, documentState, UploadList } from "./upload.js";

const pollMilliseconds = 2000;

export async function showDocuments(main, { signal }) {
  const page = new DocumentsPage(main, signal);
  await page.listed;
  return { title: "Documents" };
}

class DocumentsPage {
  #tabs = element("ul", { class: "tabs", "aria-label": "Collections" });
  #list = element("div", {});
  #collections = [];
  #selected = null;
  #isPolling = false;
  #refreshes = 0;
  #drawn = "";

  constructor(main, signal) {
    this.signal = signal;
    this.uploads = new UploadList({
      collectionID: () => this.#selected?.id ?? null,
      onAccepted: () => this.refresh(), onReady: () => this.refresh(),
    });
    const node = element("div", { class: "page" },
      element("h1", {}, "Documents"),
      element("p", { class: "lead" },
        "What Heptad may read to answer you. Nobody else can, but for collections that are shared."),
      element("div", { class: "tab-row" }, this.#tabs, this.#newCollection()),
      this.#drop(), this.#web(), this.uploads.node, this.#list);
    acceptDrops(node, (files) => this.#add(files));
    main.replaceChildren(node);
    this.listed = this.refresh();
  }

  // Which collection is shown, and takes them, is known once they are listed.
  async #add(files) {
    await this.listed;
    this.uploads.add(files);
  }

  #drop() {
    const input = element("input", { type: "file", multiple: true, id: "files", class: "quiet",
      onchange: () => {
        this.#add([...input.files]);
        input.value = "";
      } });
    return element("div", {}, input, element("label", { class: "drop", for: "files" }, icon("upload"),
      element("strong", {}, "Drop documents here, or choose them"),
      element("span", { class: "hint" }, "PDF, Office, web pages, Markdown, text, code or ZIP, several at once")));
  }

  // Few add pages of the web: what does so is fetched when it is opened.
  #web() {
    const body = element("div", {});
    const node = element("details", { class: "web", ontoggle: async () => {
      if (!node.open || body.firstChild) return;
      try {
        await lazyPage("web", "page-web")(body, { signal: this.signal,
          collection: () => this.#selected, onChange: () => this.refresh() });
      } catch (error) {
        body.replaceChildren(failureMessage(error));
      }
    } }, element("summary", {}, "Add from the web"), body);
    return node;
  }

  async refresh() {
    const refresh = this.#refreshes += 1;
    try {
      const collections = await listCollections(this.signal);
      const selected = collections.find(({ id }) => id === this.#selected?.id) ?? collections[0] ?? null;
      const documents = selected ? await listDocuments(selected.id, this.signal) : [];
      // A later refresh, or another choice, is under way.
      if (refresh !== this.#refreshes) return;
      this.#draw(collections, selected, documents);
      if (documents.some(({ state }) => state === "pending")) this.#poll();
    } catch (error) {
      if (this.signal.aborted) return;
      this.#drawn = "";
      this.#list.replaceChildren(failureMessage(error, () => this.refresh()));
    }
  }

  // A document that was being read before this page was opened has no job here to follow.
  async #poll() {
    if (this.#isPolling) return;
    this.#isPolling = true;
    await pause(pollMilliseconds, this.signal);
    this.#isPolling = false;
    if (!this.signal.aborted) await this.refresh();
  }

  // What has not changed is left alone: the reader may have the focus in it.
  #draw(collections, selected, documents) {
    this.#collections = collections;
    this.#selected = selected;
    const drawn = JSON.stringify([collections, selected, documents]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#drawTabs();
    this.#drawDocuments(documents);
  }

  #drawTabs() {
    const tabs = this.#collections.map((collection) => element("li", {},
      button(collection.name, { class: "tab",
        "aria-pressed": String(collection.id === this.#selected.id),
        onclick: () => this.#select(collection) },
      )));
    this.#tabs.replaceChildren(...tabs);
  }

  #select(collection) {
    this.#selected = collection;
    this.refresh();
  }

  #newCollection() {
    const name = element("input", { name: "name", required: true, maxlength: "100",
      "aria-label": "Name of the new collection", placeholder: "New collection" });
    const problem = element("span", { class: "problem", role: "alert" });
    return element("form", { class: "inline-form", onsubmit: async (event) => {
      event.preventDefault();
      try {
        problem.textContent = "";
        this.#selected = await createCollection(name.value.trim());
        name.value = "";
        await this.refresh();
      } catch (error) {
        problem.textContent = error.message;
      }
    } }, name, iconButton("plus", "Create the collection", { type: "submit" }), problem);
  }

  #drawDocuments(documents) {
    if (!this.#selected) {
      this.#list.replaceChildren(element("p", { class: "empty" },
        "Nothing here yet. The first upload makes a collection for it."));
      return;
    }
    this.#list.replaceChildren(
      element("div", { class: "section-head" },
        element("h2", {}, this.#selected.name),
        element("span", { class: "hint" }, `${count(this.#selected.documentCount, "document")}, ${
          count(this.#selected.passageCount, "passage")}`),
        this.#selected.access === "own" ? "" : element("span", { class: "tag" }, `of ${this.#selected.ownerName}`),
        element("a", { class: "link", href: `#/collections/${this.#selected.id}` }, "Share and settings")),
      documents.length
        ? element("ul", { class: "rows" }, documents.map((document) => this.#row(document)))
        : element("p", { class: "empty" }, "This collection is empty."));
  }

  #row(document) {
    return element("li", { class: `row ${document.state}` },
      icon("file"),
      element("div", { class: "row-main" },
        element("strong", {}, document.name),
        element("span", { class: "row-state" },
          [documentState(document), ...document.tags].join(" · "))),
      element("span", { class: "hint row-side" },
        `${bytes(document.byteCount)} · ${dateTime(document.createdAt)}`),
      this.#selected.access === "read" ? "" : iconButton("trash", `Delete ${document.name}`, { onclick: () => this.#removeDocument(document) }));
  }

  async #removeDocument(document) {
    const isSure = await confirmed({
      title: "Delete this document?",
      text: `“${document.name}” can then no longer be searched. Answers that cite it keep the passage.`,
      action: "Delete", work: () => removeDocument(document.id),
    });
    if (isSure) await this.refresh();
  }
}
