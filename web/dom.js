// Building the page. Text only ever becomes a text node; nothing here parses HTML.

const svgNamespace = "http://www.w3.org/2000/svg";

/**
 * An element with its attributes and children. `on…` attributes are listeners, `true` means present,
 * `false`, null and undefined mean absent; children may be nodes, text, null, or lists of those.
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  setAttributes(node, attributes);
  append(node, children);
  return node;
}

export function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
}

function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
}

export function button(label, attributes = {}, ...children) {
  return element("button", { type: "button", ...attributes }, ...children, label);
}

/** A button that shows only an icon; its label is for the tooltip and for screen readers. */
export function iconButton(name, label, attributes = {}) {
  return element(
    "button", { type: "button", title: label, "aria-label": label, ...attributes,
      class: `icon-button ${attributes.class ?? ""}` }, icon(name));
}

// Strokes on a 24 x 24 grid.
const iconPaths = {
  menu: "M4 7h16M4 12h16M4 17h10",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  attach: "M20 11.5l-8.2 8.2a5 5 0 0 1-7.1-7.1l8.6-8.6a3.4 3.4 0 0 1 4.8 4.8l-8.6 8.6a1.7 1.7 0 0 1-2.4-2.4L15 7.1",
  copy: "M9 9h10v11H9zM5 15V4h10",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  file: "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5L20 20",
  trace: "M4 6h9M8 12h9M12 18h8",
  coin: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M14.8 9.2c-.5-1-1.5-1.5-2.8-1.5-1.6 0-2.8.8-2.8 2.1 0 3 5.8 1.3 5.8 4.400 0 1.3-1.3 2.2-3 2.2-1.5 0-2.6-.6-3.1-1.7M12 6v12",
  key: "M8.5 5a4 4 0 1 0 0 8 4 4 0 0 0 0-8M11.5 12l8 8M16 16.5l2.5-2.5",
  gateway: "M4 12h5M9 12l6-6h5M9 12l6 6h5M9 12h11",
  people: "M9 5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M2.5 20c.6-3.4 3.200-5 6.5-5s5.900 1.6 6.5 5M16 5.5a3.5 3.5 0 0 1 0 6.300M18 15.400c1.900.7 3.100 2.200 3.5 4.6",
  exit: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  down: "M12 5v14M6 13l6 6 6-6",
  chevron: "M8 10l4 4 4-4",
  upload: "M12 16V5M7 9l5-5 5 5M5 19h14",
};

export function icon(name) {
  const svg = document.createElementNS(svgNamespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(svgNamespace, "path");
  path.setAttribute("d", iconPaths[name]);
  svg.append(path);
  return svg;
}

/** Seven dots, one for each layer, that light up in turn while something is on its way. */
export function sevenDots() {
  return element("span", { class: "seven", "aria-hidden": "true" },
    Array.from({ length: 7 }, () => element("i")));
}

/** Says a sentence to screen readers without moving the focus. */
export function announce(sentence) {
  document.getElementById("status").textContent = sentence;
}

/** An error in words, with what can be done about it. */
export function failureMessage(error, retry) {
  return element("div", { class: "message failure", role: "alert" },
    element("p", {}, error.message),
    error.traceID
      ? element("p", { class: "hint" }, "What happened: ",
        element("a", { href: `#/traces/${error.traceID}` }, "its trace"))
      : null,
    retry ? button("Try again", { class: "button small", onclick: retry }) : null);
}

export async function copyText(text, copyButton) {
  const label = copyButton.textContent;
  try {
    await navigator.clipboard.writeText(text);
    copyButton.textContent = "Copied";
  } catch {
    // Browsers refuse the clipboard on plain-HTTP addresses other than localhost.
    copyButton.textContent = "Select and copy by hand";
  }
  setTimeout(() => { copyButton.textContent = label; }, 2000);
}
