// A chat: its questions and answers, the answer that is being written, the composer.

import { beginTurn, cancelTurn, changeChat, createChat, listDocuments, readChat, turnEvents } from "./api.js";
import { AnswerView } from "./answer.js";
import { refreshChats, select } from "./chats.js";
import { Composer } from "./composer.js";
import { announce, button, element, failureMessage, icon, iconButton } from "./dom.js";
import { titleOf } from "./format.js";
import { follow } from "./sse.js";
import { acceptDrops, UploadList } from "./upload.js";

// Older messages are drawn when asked for, so that a long chat opens as quickly as a short one.
const entriesShown = 80;
// Closer to the end than this, in pixels, the reader is reading along.
const followDistance = 90;

export async function showChat(main, { chatID = null, signal, setTitle }) {
  const page = new ChatPage(main, { chatID, signal, setTitle });
  await page.load();
  return { title: page.title, stop: () => page.stop() };
}

class ChatPage {
  title = "New chat";
  #column = element("div", { class: "column" });
  #thread = element("div", { class: "thread", tabindex: "-1", onscroll: () => this.#scrolled() },
    this.#column);
  #jump = iconButton("down", "Go to the latest", { class: "jump", hidden: true,
    onclick: () => this.#scrollToEnd() });
  #uploads = new UploadList({ onReady: () => this.#documentsChanged() });
  #composer = new Composer({
    onAsk: (question) => this.#ask(question),
    onStop: () => this.stop(),
    onFiles: (files) => this.#uploads.add(files),
    onCollections: (collectionIDs) => this.#rememberCollections(collectionIDs),
  });
  #running = null;
  #hasAsked = false;
  #isAtEnd = true;
  #scrollTop = 0;

  constructor(main, { chatID, signal, setTitle }) {
    this.chatID = chatID;
    this.signal = signal;
    this.setTitle = setTitle;
    this.node = element("div", { class: "chat" }, this.#thread,
      element("div", { class: "dock" },
        element("div", { class: "column" },
          this.#jump, this.#uploads.node, this.#composer.node, this.#composer.hint)));
    // A keyboard that slides in, or a growing composer, must not hide the end of the answer.
    const sizes = new ResizeObserver(() => { if (this.#isAtEnd) this.#scrollToEnd(); });
    sizes.observe(this.#thread);
    sizes.observe(this.#column);
    acceptDrops(this.node, (files) => this.#uploads.add(files));
    main.replaceChildren(this.node);
  }

  async load() {
    // At once or not at all: later it would take the focus from what the reader has begun. On phones
    // it would open the keyboard.
    if (matchMedia("(hover: hover)").matches) this.#composer.focus();
    const loading = this.#composer.load(this.signal);
    const chat = this.chatID ? await this.#showEntries() : null;
    await loading;
    this.#composer.lookIn(chat?.collectionIDs);
    if (!this.chatID) await this.#showWelcome();
  }

  async #showEntries() {
    const { chat, entries } = await readChat(this.chatID, this.signal);
    this.title = chat.title || "Chat";
    this.#column.append(element("h1", { class: "quiet" }, this.title));
    this.#draw(entries);
    this.#scrollToEnd();
    const last = entries.at(-1);
    if (last?.turnState === "running") this.#resume(last, entries.at(-2)?.text);
    return chat;
  }

  // A chat keeps what it looks in, for other devices too; a new one takes it along.
  async #rememberCollections(collectionIDs) {
    if (!this.chatID) return;
    try {
      await changeChat(this.chatID, { collectionIDs });
    } catch (error) {
      announce(`The choice is not kept: ${error.message}`);
    }
  }

  #draw(entries) {
    const drawn = entries.filter((entry) => entry.turnState !== "running");
    const older = drawn.slice(0, -entriesShown);
    const nodes = (part) => part.map((entry, place) =>
      entryNode(entry, this.chatID, () => this.#askAgain(part[place - 1]?.text)));
    this.#column.append(...nodes(drawn.slice(-entriesShown)));
    if (!older.length) return;
    const more = button(`Show ${older.length} earlier messages`, { class: "button small earlier",
      onclick: () => {
        const height = this.#thread.scrollHeight;
        more.replaceWith(...nodes(older));
        this.#thread.scrollTop += this.#thread.scrollHeight - height;
      } });
    this.#column.prepend(more);
  }

  #resume(entry, question) {
    const view = this.#newAnswer(question).begin(entry.text);
    this.#column.append(view.node);
    this.#run(entry.turnID, view);
  }

  async #ask(question) {
    this.#hasAsked = true;
    this.#column.querySelector(".welcome")?.remove();
    this.#uploads.clearFailed();
    const asked = questionNode(question);
    const view = this.#newAnswer(question).begin();
    this.#column.append(asked, view.node);
    this.#scrollToEnd();
    announce("Heptad is answering.");
    this.#running = { turnID: null, isCancelled: false };
    this.#composer.setAnswering(true);
    try {
      await this.#needChat(question);
      const { turnID } = await beginTurn(this.chatID, { question, ...this.#composer.choices });
      if (this.#running.isCancelled) cancelTurn(turnID).catch(() => {});
      this.#run(turnID, view);
    } catch (error) {
      this.#refused(error, question, [asked, view.node]);
    }
  }

  // Nothing was saved: the question goes back to where it can be sent again.
  #refused(error, question, nodes) {
    this.#finish();
    const message = failureMessage(error, () => {
      message.remove();
      this.#composer.setText("");
      this.#ask(question);
    });
    nodes[0].remove();
    nodes[1].replaceWith(message);
    this.#composer.setText(question);
    this.#scrollToEnd();
  }

  async #needChat(question) {
    if (this.chatID) return;
    const chat = await createChat(titleOf(question), undefined,
      this.#composer.choices.collectionIDs);
    this.chatID = chat.id;
    this.setTitle(chat.title || this.title);
    history.replaceState(null, "", `#/chats/${chat.id}`);
    await refreshChats();
    select(`/chats/${chat.id}`);
  }

  /** Follows a turn until it has ended, over reloads and broken connections. */
  async #run(turnID, view) {
    this.#running = { turnID, isCancelled: this.#running?.isCancelled ?? false };
    view.whyAddress = whyAddress(turnID, this.chatID);
    this.#composer.setAnswering(true);
    try {
      await follow(turnEvents(turnID), {
        signal: this.signal,
        onEvent: (name, data) => view.take(name, data),
        onConnection: (isConnected) => view.setConnected(isConnected),
      });
    } catch (error) {
      view.fail(error, () => this.#reconnect(turnID, view));
    }
    if (!this.signal.aborted) this.#finish();
  }

  #reconnect(turnID, view) {
    const fresh = this.#newAnswer().begin();
    view.node.replaceWith(fresh.node);
    this.#run(turnID, fresh);
  }

  #finish() {
    this.#running = null;
    this.#composer.setAnswering(false);
    refreshChats();
  }

  /** Stops the answer that is being written; true when there is one. */
  stop() {
    if (!this.#running) return false;
    this.#running.isCancelled = true;
    const { turnID } = this.#running;
    if (turnID) cancelTurn(turnID).catch((error) => announce(error.message));
    return true;
  }

  #newAnswer(question) {
    return new AnswerView({
      onRetry: question ? () => this.#askAgain(question) : null,
      onDraw: () => { if (this.#isAtEnd) this.#scrollToEnd(); },
    });
  }

  #askAgain(question) {
    if (question && !this.#running) this.#ask(question);
  }

  // Messages get their true height when they come into view, so the end moves by itself; only
  // scrolling up means that the reader has left it.
  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#thread;
    const isNear = scrollHeight - scrollTop - clientHeight < followDistance;
    this.#isAtEnd = isNear || (this.#isAtEnd && scrollTop >= this.#scrollTop);
    this.#scrollTop = scrollTop;
    this.#jump.hidden = this.#isAtEnd;
  }

  #scrollToEnd() {
    this.#isAtEnd = true;
    this.#thread.scrollTop = this.#thread.scrollHeight;
  }

  async #documentsChanged() {
    await this.#composer.load(this.signal);
    if (this.#column.querySelector(".welcome")) await this.#showWelcome();
  }

  async #showWelcome() {
    const names = this.#composer.hasDocuments ? await this.#documentNames() : [];
    const welcome = names.length
      ? questionsWelcome(names, (question) => this.#ask(question))
      : uploadWelcome((files) => this.#uploads.add(files));
    // Whoever types quickly has asked by now.
    if (!this.#hasAsked) this.#column.replaceChildren(welcome);
  }

  async #documentNames() {
    const collection = this.#composer.collections.find(({ documentCount }) => documentCount > 0);
    const documents = await listDocuments(collection.id, this.signal).catch(() => []);
    return documents.filter(({ state }) => state === "ready").map(({ name }) => name);
  }
}

const whyAddress = (turnID, chatID) => `#/search?turn=${turnID}&chat=${chatID}`;

function entryNode(entry, chatID, onRetry) {
  if (entry.role === "user") return questionNode(entry.text);
  const view = new AnswerView({ onRetry });
  if (entry.turnID) view.whyAddress = whyAddress(entry.turnID, chatID);
  if (entry.outcome) view.end(entry.outcome);
  else view.showText(entry.text, entry.turnState);
  return view.node;
}

function questionNode(text) {
  return element("article", { class: "question", "aria-label": "You asked" },
    element("p", { class: "plain" }, text));
}

function welcomeNode(title, text, ...rest) {
  return element("section", { class: "welcome" },
    element("img", { src: "/icon.svg", alt: "", width: "44", height: "44" }),
    element("h1", {}, title), element("p", {}, text), ...rest);
}

function uploadWelcome(onFiles) {
  const input = element("input", { type: "file", multiple: true, id: "welcome-files", class: "quiet",
    onchange: () => onFiles([...input.files]) });
  return welcomeNode("Ask your own documents",
    "Give Heptad something to read. Answers then come with marks that open the passage they rest on,"
    + " and say what they took and cost.",
    element("label", { class: "drop", for: "welcome-files" }, icon("upload"),
      element("strong", {}, "Drop documents here, or choose them"),
      element("span", { class: "hint" }, "PDF, Office, web pages, Markdown, text, code or ZIP. They stay on this server.")),
    input,
    element("p", { class: "hint" }, "You can also just ask: the model answers without documents, too."));
}

function questionsWelcome(names, onAsk) {
  const name = names[0].replace(/\.[^.]+$/, "");
  const questions = [
    `What is ${name} about?`,
    `Which points matter most in ${name}?`,
    names.length > 1 ? `What does ${names[1].replace(/\.[^.]+$/, "")} say?`
      : `Which numbers and dates does ${name} name?`,
  ];
  return welcomeNode("What would you like to know?",
    "Answers come from your documents, with marks that open the passage.",
    element("ul", { class: "examples" }, questions.map((question) =>
      element("li", {}, button(question, { class: "example", onclick: () => onAsk(question) })))));
}
