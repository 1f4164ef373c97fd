// The pages before the others: setting up, logging in.

import { isSetupValid, logIn, setUp } from "./api.js";
import { element } from "./dom.js";

const passwordCharactersMin = 8;

function gate(main, ...content) {
  main.replaceChildren(element("section", { class: "gate" },
    element("img", { class: "gate-mark", src: "/icon.svg", alt: "", width: "48", height: "48" }),
    ...content));
  main.querySelector("input")?.focus();
}

/** Claims the server with the one-time link. */
export async function showSetup(main, { token, onSession }) {
  if (!await isSetupValid(token)) {
    gate(main, element("h1", {}, "This link no longer works"),
      element("p", {}, "A setup link opens once, within 30 minutes. Restart the server to print a new"
        + " one; if you have set Heptad up already, log in instead."),
      element("p", {}, element("a", { class: "button primary", href: "#/login" }, "Log in")));
    return { title: "Set up" };
  }
  gate(main, element("h1", {}, "Welcome to Heptad"),
    element("p", {}, "Choose the name and password of the owner. That is all there is to set up."),
    accountForm({
      action: "Start", passwordHint: `At least ${passwordCharactersMin} characters.`,
      autocomplete: "new-password", minlength: passwordCharactersMin,
      send: async (name, password) => onSession(await setUp(token, name, password)),
    }));
  return { title: "Set up" };
}

export function showLogin(main, { setupNeeded, notice, onSession }) {
  if (setupNeeded) {
    gate(main, element("h1", {}, "Heptad waits for its owner"),
      element("p", {}, "Open the one-time setup link that the server printed in its terminal. It works"
        + " for 30 minutes; after that, restart the server to print a new one."),
      element("pre", { class: "sample", tabindex: "0" }, `${location.origin}/#/setup/…`));
    return { title: "Set up" };
  }
  gate(main, element("h1", {}, "Log in"),
    notice ? element("p", { class: "message", role: "status" }, notice) : "",
    accountForm({
      action: "Log in", autocomplete: "current-password", minlength: 1,
      send: async (name, password) => onSession(await logIn(name, password)),
    }),
    element("p", { class: "hint" }, "Password lost? On the server, ",
      element("code", {}, "heptad user reset-password"), " sets a new one."));
  return { title: "Log in" };
}

function accountForm({ action, passwordHint, autocomplete, minlength, send }) {
  const name = element("input", { id: "name", name: "username", autocomplete: "username",
    required: true, maxlength: "100", autocapitalize: "none", spellcheck: "false" });
  const password = element("input", { id: "password", name: "password", type: "password",
    autocomplete, required: true, minlength: String(minlength), maxlength: "1000",
    "aria-describedby": passwordHint ? "password-hint" : null });
  const problem = element("p", { class: "problem", role: "alert" });
  const submit = element("button", { class: "button primary", type: "submit" }, action);
  return element("form", { class: "account-form", onsubmit: async (event) => {
    event.preventDefault();
    problem.textContent = "";
    submit.disabled = true;
    try {
      await send(name.value.trim(), password.value);
    } catch (error) {
      problem.textContent = error.message;
      password.select();
    }
    submit.disabled = false;
  } },
  element("label", { for: "name" }, "Name"), name,
  element("label", { for: "password" }, "Password"), password,
  passwordHint ? element("p", { class: "hint", id: "password-hint" }, passwordHint) : null,
  problem, submit);
}
