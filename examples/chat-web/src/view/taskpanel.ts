import { KINDS, type Task, type Tasks } from "../model/tasks.js";
import { el, makeList, setText } from "./dom.js";

const WORDS = { running: "", completed: "Done", failed: "Failed", cancelled: "Cancelled", unknown: "Lost" };

const LABELS = { render: "Render", index: "Index", train: "Train" };

/** The tasks that run on the server. */
export const taskPanel = (tasks: Tasks): HTMLElement => {
  const list = el("ul", { className: "tasks" });
  const show = makeList<Task>(
    list,
    ({ id }) => id,
    (first) => {
      const bar = el("progress", { max: 100, value: 0, ariaLabel: first.title });
      const number = el("span", { className: "number" });
      const text = el("p", { className: "quiet" });
      const cancel = el("button", { type: "button", className: "link", ariaLabel: `Cancel ${first.title}` }, "Cancel");
      let task = first;
      cancel.addEventListener("click", () => tasks.cancel(task));
      const head = el("p", { className: "head" }, el("b", {}, first.title), number);
      return {
        element: el("li", {}, head, bar, el("div", { className: "foot" }, text, cancel)),
        update(now) {
          task = now;
          bar.value = now.percentage;
          bar.dataset["outcome"] = now.outcome;
          setText(number, WORDS[now.outcome] || `${now.percentage} %`);
          number.className = `number ${now.outcome}`;
          setText(text, now.text);
          cancel.hidden = now.outcome !== "running";
          cancel.disabled = tasks.state !== "Connected";
        },
      };
    },
  );
  const empty = el("p", { className: "quiet" }, "No task runs. Start one: everybody here sees how far it is.");
  const problem = el("p", { className: "problem", attributes: { role: "alert" } });
  const updates = el("p", { className: "quiet updates" });
  const state = el("span", { className: "pill" });
  const buttons = KINDS.map((kind) => {
    const button = el("button", { type: "button", title: `Start a task: ${kind}` }, LABELS[kind]);
    button.addEventListener("click", () => tasks.start(kind));
    return button;
  });
  tasks.changes.watch(() => {
    const connected = tasks.state === "Connected";
    show(tasks.all);
    empty.hidden = tasks.all.length > 0;
    setText(problem, tasks.problem ?? "");
    setText(state, connected ? "live" : "not live");
    state.dataset["state"] = tasks.state;
    list.classList.toggle("stale", !connected);
    buttons.forEach((button) => (button.disabled = !connected));
    const { total, deltas } = tasks.updates;
    setText(updates, total ? `${total} updates, ${deltas} of them as changes` : "");
  });
  return el(
    "aside",
    { className: "panel", ariaLabel: "Tasks" },
    el("header", {}, el("h2", {}, "Tasks"), state),
    el("div", { className: "starters", attributes: { role: "group", "aria-label": "Start a task" } }, ...buttons),
    problem,
    empty,
    list,
    updates,
  );
};
