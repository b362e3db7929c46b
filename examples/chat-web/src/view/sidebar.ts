import type { Chat, Conversation } from "../model/chat.js";
import { el, makeList, setText } from "./dom.js";

/** The conversations, and who one is. */
export const sidebar = (chat: Chat, signOut: () => void): HTMLElement => {
  const list = el("ul", { className: "conversations" });
  const show = makeList<Conversation>(
    list,
    ({ id }) => id,
    ({ id }) => {
      const unread = el("span", { className: "badge" });
      const button = el("button", { type: "button" }, el("span", { className: "name" }, id), unread);
      button.addEventListener("click", () => chat.select(id));
      return {
        element: el("li", {}, button),
        update(conversation) {
          conversation === chat.current
            ? button.setAttribute("aria-current", "page")
            : button.removeAttribute("aria-current");
          setText(unread, conversation.unread ? String(conversation.unread) : "");
          unread.title = conversation.unread ? `${conversation.unread} unread` : "";
        },
      };
    },
  );
  chat.changes.watch(() => show([...chat.conversations.values()]));

  const name = el("input", {
    placeholder: "Join…",
    maxLength: 32,
    required: true,
    pattern: ".*\\S.*",
    ariaLabel: "Name of the conversation",
  });
  const form = el("form", { className: "join" }, name, el("button", { type: "submit", ariaLabel: "Join it" }, "+"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    chat.join(name.value.trim().toLowerCase());
    name.value = "";
  });
  const out = el("button", { type: "button", className: "link" }, "Sign out");
  out.addEventListener("click", signOut);
  return el(
    "nav",
    { className: "sidebar", ariaLabel: "Conversations" },
    el("p", { className: "brand" }, el("img", { src: "/icon.svg", alt: "", width: 24, height: 24 }), "Hubwire Chat"),
    list,
    form,
    el("p", { className: "me" }, el("span", {}, "Signed in as ", el("b", {}, chat.user)), out),
  );
};
