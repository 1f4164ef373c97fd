// The dialog that takes a provider's key. What is typed goes to the server and is kept nowhere here.

import { button, element } from "./dom.js";

/** Asks for a key and hands it to `send`; `done` runs once it was taken. */
export function keyDialog({ title, send, done }) {
  const problem = element("p", { class: "problem", role: "alert" });
  const input = element("input", { id: "provider-key", type: "password", required: true,
    autocomplete: "off", spellcheck: "false", maxlength: "4096" });
  const submit = element("button", { class: "button primary", type: "submit" }, "Set the key");
  const form = element("form", { class: "key-form", onsubmit: async (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.textContent = "";
    try {
      await send(input.value.trim());
      dialog.close();
      await done();
    } catch (error) {
      problem.textContent = error.message;
    }
    submit.disabled = false;
  } },
  element("label", { for: "provider-key" }, "Key"), input,
  element("p", { class: "hint" }, "It is used from the next call on, kept sealed on the server, and"
    + " never shown again."), problem,
  element("div", { class: "dialog-actions" },
    button("Cancel", { class: "button", onclick: () => dialog.close() }), submit));
  const dialog = element("dialog", { class: "dialog", "aria-label": title },
    element("h2", {}, title), form);
  dialog.addEventListener("close", () => {
    input.value = "";
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
}
