import { el } from "./dom.js";

/** Asks for a name. `enter` may refuse it by throwing. */
export const login = (root: HTMLElement, enter: (name: string) => Promise<void>): void => {
  const name = el("input", { id: "name", name: "name", required: true, maxLength: 24, autocomplete: "username" });
  const problem = el("p", { className: "problem", attributes: { role: "alert" } });
  const button = el("button", { type: "submit", className: "primary" }, "Join the chat");
  const form = el(
    "form",
    { className: "login" },
    el("img", { src: "/icon.svg", alt: "", width: 48, height: 48 }),
    el("h1", {}, "Hubwire Chat"),
    el("p", { className: "quiet" }, "Every message arrives once and in order, whatever happens to the server."),
    el("label", { htmlFor: "name" }, "Your name"),
    name,
    button,
    problem,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await enter(name.value.trim());
    } catch (error) {
      problem.textContent = error instanceof Error ? error.message : String(error);
      button.disabled = false;
    }
  });
  root.replaceChildren(form);
  name.focus();
};
