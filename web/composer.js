// Where a question is written: text, model, what to search, Send or Stop.

import { listCollections, listModels } from "./api.js";
import { element, icon, iconButton } from "./dom.js";
import { count, pricePerMillion } from "./format.js";

const modelKey = "heptad.model";
const rowsHeightMax = 220;

export class Composer {
  #text = element("textarea", { id: "question", rows: "1", placeholder: "Ask about your documents",
    "aria-label": "Your question", "aria-describedby": "composer-hint", maxlength: "32000",
    enterkeyhint: "send", autocomplete: "off" });
  #send = iconButton("send", "Send (Enter)", { class: "send", type: "submit" });
  #stop = iconButton("stop", "Stop the answer (Escape)", { class: "send stop", hidden: true });
  #pickers = element("div", { class: "pickers" });
  #hint = element("p", { class: "hint composer-hint", id: "composer-hint" },
    "Enter sends, Shift+Enter begins a new line.");
  #collections = [];
  #unsearched = new Set();
  #models = [];

  /**
   * `onAsk` takes the question's text, `onStop` nothing, `onFiles` a list of files, `onCollections` the
   * ids of the collections that were chosen, null for all.
   */
  constructor({ onAsk, onStop, onFiles, onCollections }) {
    this.onAsk = onAsk;
    this.onCollections = onCollections;
    this.#stop.addEventListener("click", onStop);
    const files = element("input", { type: "file", multiple: true, class: "quiet", tabindex: "-1",
      "aria-hidden": "true", onchange: () => {
        onFiles([...files.files]);
        files.value = "";
      } });
    const attach = iconButton("attach", "Add documents", { onclick: () => files.click() });
    this.node = element("form", { class: "composer", onsubmit: (event) => this.#submit(event) },
      this.#text,
      element("div", { class: "composer-row" }, attach, files, this.#pickers, this.#stop, this.#send));
    this.hint = this.#hint;
    this.#text.addEventListener("keydown", (event) => this.#keydown(event));
    this.#text.addEventListener("input", () => this.#fit());
  }

  async load(signal) {
    const [models, collections] = await Promise.allSettled([
      listModels(signal), listCollections(signal),
    ]);
    this.#models = models.value ?? [];
    this.#collections = collections.value ?? [];
    this.#drawPickers();
  }

  /** Chooses what a chat looks in; nothing, or only what is gone, means all. */
  lookIn(collectionIDs) {
    const kept = collectionIDs?.filter((id) => this.#collections.some((each) => each.id === id));
    if (!kept || kept.length < Math.min(1, collectionIDs.length)) return;
    this.#unsearched = new Set(this.#collections.map(({ id }) => id).filter((id) => !kept.includes(id)));
    this.#drawPickers();
  }

  #drawPickers() {
    const pickers = [this.#modelPicker(), this.#collectionPicker()];
    this.#pickers.replaceChildren(...pickers.filter(Boolean));
  }

  get hasDocuments() { return this.#collections.some(({ documentCount }) => documentCount > 0); }
  get collections() { return this.#collections; }

  /** What goes with a question: absent keys leave the choice to the server. */
  get choices() {
    const choices = {};
    const model = localStorage.getItem(modelKey);
    if (this.#models.some(({ name }) => name === model)) choices.model = model;
    if (this.#unsearched.size) {
      choices.collectionIDs = this.#collections.map(({ id }) => id)
        .filter((id) => !this.#unsearched.has(id));
    }
    return choices;
  }

  setAnswering(isAnswering) {
    const hadFocus = document.activeElement === this.#send || document.activeElement === this.#stop;
    this.#send.hidden = isAnswering;
    this.#stop.hidden = !isAnswering;
    this.isAnswering = isAnswering;
    this.#hint.textContent = isAnswering
      ? "Escape stops the answer." : "Enter sends, Shift+Enter begins a new line.";
    if (hadFocus) this.focus();
  }

  setText(text) {
    this.#text.value = text;
    this.#fit();
    this.focus();
  }

  focus() { this.#text.focus(); }

  #submit(event) {
    event.preventDefault();
    const question = this.#text.value.trim();
    if (question === "" || this.isAnswering) return;
    this.#text.value = "";
    this.#fit();
    this.onAsk(question);
  }

  // While an input method is composing, Enter belongs to it.
  #keydown(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.node.requestSubmit();
  }

  #fit() {
    this.#text.style.height = "auto";
    this.#text.style.height = `${Math.min(this.#text.scrollHeight, rowsHeightMax)}px`;
  }

  #modelPicker() {
    if (!this.#models.length) return null;
    const chosen = this.choices.model ?? this.#models[0].name;
    const label = element("span", {}, chosen);
    const choose = (name) => {
      localStorage.setItem(modelKey, name);
      label.textContent = name;
    };
    return picker(label, "Model", this.#models.map((model) =>
      choice("radio", "model", model.name === chosen, () => choose(model.name), modelText(model))));
  }

  #collectionPicker() {
    if (!this.#collections.length) return null;
    const label = element("span", {});
    const describe = () => {
      const searched = this.#collections.length - this.#unsearched.size;
      label.textContent = searched === this.#collections.length
        ? "All documents" : searched === 0 ? "No documents" : count(searched, "collection");
    };
    const choose = (id, isSearched) => {
      if (isSearched) this.#unsearched.delete(id);
      else this.#unsearched.add(id);
      describe();
      this.onCollections(this.choices.collectionIDs ?? null);
    };
    describe();
    return picker(label, "Search in", this.#collections.map((collection) =>
      choice("checkbox", "collection", !this.#unsearched.has(collection.id),
        (isChecked) => choose(collection.id, isChecked),
        [element("strong", {}, collection.name),
          element("span", { class: "hint" }, count(collection.documentCount, "document"))])));
  }
}

function modelText({ name, isLocal, contextTokens, price }) {
  const reach = `${isLocal ? "Runs on this machine" : "Hosted"}, reads ${
    contextTokens.toLocaleString("en-US")} tokens`;
  return [
    element("strong", {}, name),
    element("span", { class: "hint" }, reach),
    element("span", { class: "hint" }, priceText(price)),
  ];
}

function priceText(price) {
  if (!price) return "Its price is not known";
  if (price.input === 0 && price.output === 0) return "Free";
  const asOf = price.asOf === "configured" ? "as configured" : `prices as of ${price.asOf}`;
  return `${pricePerMillion(price.input)} tokens in, ${pricePerMillion(price.output)} out; ${asOf}`;
}

// `details` opens and closes by keyboard without a script; a click elsewhere closes it too.
function picker(label, legend, choices) {
  const node = element("details", { class: "picker", name: "picker" },
    element("summary", { "aria-label": `${legend}: ${label.textContent}` }, label, icon("chevron")),
    element("fieldset", { class: "sheet" }, element("legend", {}, legend), choices));
  node.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !node.contains(event.relatedTarget)) node.open = false;
  });
  node.addEventListener("toggle", () => {
    const close = (event) => { if (!node.contains(event.target)) node.open = false; };
    if (node.open) node.closeListener = close;
    if (node.open) document.addEventListener("pointerdown", close);
    else document.removeEventListener("pointerdown", node.closeListener);
  });
  return node;
}

function choice(type, name, isChecked, onChoose, text) {
  const input = element("input", { type, name, checked: isChecked,
    onchange: () => onChoose(input.checked) });
  return element("label", { class: "choice" }, input, element("span", {}, text));
}
