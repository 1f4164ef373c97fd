// Questions that must be answered before something is done.

import { button, element } from "./dom.js";

/**
 * Asks before something that cannot be undone. Does `work` while the dialog is open and shows there
 * why it failed; true once it is done, false when the reader thought better of it.
 */
export function confirmed({ title, text, action, work }) {
  return new Promise((resolve) => {
    const problem = element("p", { class: "problem", role: "alert" });
    const cancel = button("Cancel", { class: "button", onclick: () => dialog.close() });
    const act = button(action, { class: "button danger", onclick: run });
    const dialog = element("dialog", { class: "dialog", "aria-label": title },
      element("h2", {}, title), element("p", {}, text), problem,
      element("div", { class: "dialog-actions" }, cancel, act));
    let isDone = false;
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(isDone);
    });

    async function run() {
      act.disabled = true;
      try {
        await work();
        isDone = true;
        dialog.close();
      } catch (error) {
        problem.textContent = error.message;
        act.disabled = false;
      }
    }

    document.body.append(dialog);
    dialog.showModal();
    cancel.focus();
  });
}
