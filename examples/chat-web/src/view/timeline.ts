import type { Chat, Conversation, Notice } from "../model/chat.js";
import type { Message } from "../model/messages.js";
import { el, makeList, setText } from "./dom.js";
import { messageRow } from "./message.js";

type Item = { readonly key: string; readonly message: Message } | { readonly key: string; readonly notice: Notice };

const itemsOf = ({ id, messages, notices }: Conversation): Item[] => {
  const noticesAfter = (after: string | undefined): Item[] =>
    notices.filter((notice) => notice.after === after).map((notice) => ({ key: notice.key, notice }));
  const items: Item[] = noticesAfter(undefined);
  for (const message of messages.all) {
    items.push({ key: `${id}/${message.id}`, message }, ...noticesAfter(message.id));
  }
  return items;
};

const sentence = (names: readonly string[]): string =>
  names.length === 0
    ? ""
    : names.length === 1
      ? `${names[0]} is typing…`
      : names.length === 2
        ? `${names[0]} and ${names[1]} are typing…`
        : `${names.length} people are typing…`;

/** A field to write in. */
const composer = (chat: Chat): HTMLElement => {
  const input = el("textarea", { rows: 1, maxLength: 4_000, placeholder: "Write a message", ariaLabel: "Message" });
  const form = el("form", { className: "composer" }, input, el("button", { type: "submit", className: "primary" }, "Send"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text) {
      chat.send(text);
      input.value = "";
    }
  });
  input.addEventListener("input", () => chat.typing(input.value.trim() !== ""));
  input.addEventListener("keydown", (event) => {
    // While text is being composed, Enter belongs to the input method.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  return form;
};

/** The conversation that is open. */
export const timeline = (chat: Chat): HTMLElement => {
  const title = el("h1");
  const members = el("p", { className: "quiet members" });
  const leave = el("button", { type: "button", className: "link" }, "Leave");
  leave.addEventListener("click", () => chat.leave(chat.current.id));
  const list = el("ol", { className: "messages", ariaLabel: "Messages", attributes: { "aria-live": "polite" } });
  const empty = el("p", { className: "empty quiet" }, "Nothing was said here yet.");
  const scroller = el("div", { className: "scroller", tabIndex: 0 }, empty, list);
  const typing = el("p", { className: "typing quiet", attributes: { "aria-live": "polite" } });

  const show = makeList<Item>(
    list,
    ({ key }) => key,
    (item) => {
      if ("notice" in item) {
        const element = el("li", { className: "notice quiet" }, item.notice.text);
        return { element, update: () => {} };
      }
      const row = messageRow(chat, item.message);
      return { element: row.element, update: (now) => "message" in now && row.update(now.message) };
    },
  );
  let shown: Conversation | undefined;
  chat.changes.watch(() => {
    const { current } = chat;
    const { scrollHeight, scrollTop, clientHeight } = scroller;
    // Who reads further up stays there.
    const atEnd = shown !== current || scrollHeight - scrollTop - clientHeight < 40;
    shown = current;
    setText(title, `# ${current.id}`);
    setText(members, [...current.members].sort().join(", "));
    leave.hidden = chat.conversations.size < 2;
    const items = itemsOf(current);
    empty.hidden = items.length > 0;
    show(items);
    setText(typing, sentence(current.typing));
    if (atEnd) {
      scroller.scrollTop = scroller.scrollHeight;
    }
  });
  return el(
    "main",
    { className: "timeline" },
    el("header", {}, el("div", {}, title, members), leave),
    scroller,
    typing,
    composer(chat),
  );
};
