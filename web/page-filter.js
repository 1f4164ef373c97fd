// Which documents a search looks at: fields of a form, and what they say as the server reads it.

import { session } from "./api.js";
import { element } from "./dom.js";

export function field(label, control) {
  return element("div", { class: "field" }, element("label", { for: control.id }, label), control);
}

export class FilterFields {
  #tags = element("input", { id: "filter-tags", placeholder: "report, 2026", maxlength: "400" });
  #types = element("input", { id: "filter-types", placeholder: "pdf, md", maxlength: "400" });
  #from = element("input", { id: "filter-from", type: "date" });
  #until = element("input", { id: "filter-until", type: "date" });
  #isMine = element("input", { type: "checkbox" });

  node = element("details", { class: "filters" },
    element("summary", {}, "Only some documents"),
    element("div", {},
      field("With any of these tags", this.#tags), field("Of any of these types", this.#types),
      field("Added from", this.#from), field("Added until", this.#until),
      element("label", { class: "check" }, this.#isMine, "Only my own")));

  /** Members of a search's body; none where nothing is asked for. */
  get value() {
    const filter = {};
    const [tags, types] = [words(this.#tags.value), words(this.#types.value)];
    if (tags.length) filter.tags = tags;
    if (types.length) filter.types = types;
    if (this.#isMine.checked) filter.owners = [session.user.id];
    // Days are the reader's, and the last one counts to its end.
    if (this.#from.value) filter.from = day(this.#from.value).toISOString();
    if (this.#until.value) {
      const end = day(this.#until.value);
      end.setDate(end.getDate() + 1);
      filter.until = end.toISOString();
    }
    return filter;
  }

  clear() {
    for (const input of [this.#tags, this.#types, this.#from, this.#until]) input.value = "";
    this.#isMine.checked = false;
  }
}

function day(text) {
  return new Date(`${text}T00:00`);
}

function words(text) {
  return text.split(",").map((word) => word.trim()).filter(Boolean);
}
