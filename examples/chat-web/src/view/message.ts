import type { Chat } from "../model/chat.js";
import type { Message } from "../model/messages.js";
import { el, hue, setText, type Row } from "./dom.js";

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

const stateOf = ({ delivery, busy, edited, deleted }: Message, connected: boolean): string =>
  delivery === "pending"
    ? connected
      ? "Sending…"
      : "Queued"
    : delivery === "failed"
      ? "Not sent"
      : busy
        ? busy === "edit"
          ? "Saving…"
          : "Deleting…"
        : edited && !deleted
          ? "edited"
          : "";

/** One message, with what its author can do with it. */
export const messageRow = (chat: Chat, first: Message): Row<Message> => {
  let message = first;
  const own = first.user === chat.user;
  const content = el("p", { className: "content" });
  const at = el("time");
  const state = el("span", { className: "delivery" });
  const problem = el("p", { className: "problem" });
  const action = (label: string, run: () => void): HTMLButtonElement => {
    const button = el("button", { type: "button", className: "link" }, label);
    button.addEventListener("click", run);
    return button;
  };
  const edit = action("Edit", () => openEditor());
  const remove = action("Delete", () => chat.remove(message));
  const again = action("Send again", () => chat.resend(message));
  const actions = el("span", { className: "actions" }, edit, again, remove);
  const body = el("div", { className: "body" });
  const element = el(
    "li",
    { className: own ? "message own" : "message" },
    el("span", { className: "avatar", ariaHidden: "true" }, first.user.slice(0, 1).toUpperCase()),
    body,
  );
  element.style.setProperty("--hue", hue(first.user));
  const head = el("p", { className: "head" }, el("b", {}, first.user), at, state, own && actions);
  body.append(head, content, problem);

  const openEditor = (): void => {
    const input = el("input", { value: message.content, maxLength: 4_000, ariaLabel: "New text", required: true });
    const form = el("form", { className: "editor" }, input, el("button", { type: "submit" }, "Save"));
    const close = (): void => {
      form.replaceWith(content);
      edit.focus();
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (input.value.trim() && input.value !== message.content) {
        chat.edit(message, input.value.trim());
      }
      close();
    });
    input.addEventListener("keydown", ({ key }) => key === "Escape" && close());
    content.replaceWith(form);
    input.select();
  };

  return {
    element,
    update(now) {
      message = now;
      element.dataset["delivery"] = now.delivery;
      element.dataset["id"] = now.id;
      element.classList.toggle("deleted", now.deleted);
      setText(content, now.deleted ? "This message was deleted." : now.content);
      at.dateTime = now.timestamp;
      setText(at, time.format(new Date(now.timestamp)));
      setText(state, stateOf(now, chat.connected));
      setText(problem, now.problem ?? "");
      edit.hidden = now.deleted || now.delivery !== "sent";
      remove.hidden = now.deleted;
      setText(remove, now.delivery === "sent" ? "Delete" : "Discard");
      again.hidden = now.delivery !== "failed";
    },
  };
};
